"""Credentials: fetch them from the Moss API, validate them, cache them and keep them fresh."""
