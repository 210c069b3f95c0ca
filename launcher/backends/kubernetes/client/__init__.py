"""Requests to one API server: credentials, patience, errors, permissions."""
