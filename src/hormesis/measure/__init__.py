"""From a request to a finished study, on this machine or on a Ray cluster."""
