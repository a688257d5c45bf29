"""Tells which parameters of a trained network are fragile, robust or antifragile."""
