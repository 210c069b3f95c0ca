"""Runs on a Kubernetes cluster: an Indexed Job, seen through the API server by plain requests.

Only `api` and what it stands on know the Kubernetes client; everything else reads and writes the API's own
JSON as dictionaries, so that what a test or a reader sees is what ``kubectl -o yaml`` shows.
"""
