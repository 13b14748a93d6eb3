"""The rules: values in, values out. No I/O, no clock, no environment, no threads; whatever varies is an argument."""
