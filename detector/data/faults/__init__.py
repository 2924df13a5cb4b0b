"""The faults that a check finds in a detection data set, each kind in a module."""
