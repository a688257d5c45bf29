"""Settings of an analysis: plain frozen values, checked when they are made.

The Python call, the command line, the configuration file and the manifest all use these.
"""
