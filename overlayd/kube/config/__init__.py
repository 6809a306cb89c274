"""Where the API server is and who we are there: kubeconfigs, service accounts, plugins, TLS."""
