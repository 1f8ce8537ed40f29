"""The pytest plugin: `pytest suites/ --device nano33`."""
