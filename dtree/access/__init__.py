"""Connections to servers, their repaired clients and their errors. Each module is the only importer of its library."""
