"""What a picture, a page or a table shows, as plain data; drawing it comes second."""
