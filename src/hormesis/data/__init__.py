"""Labelled samples: named sets, images, arrays, splits and their caches."""
