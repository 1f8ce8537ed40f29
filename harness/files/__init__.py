"""Small files that processes share, and the files that come with the package."""
