"""The official Python client, driven by lines of JSON; `python3 -m driver` with the client's packages on the path."""
