"""The control plane: starts, watches, decides and reports; never touches a request."""
