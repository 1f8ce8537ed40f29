"""Test inputs and labels as people have them: arrays, tables, images, sound. One file for each kind."""
