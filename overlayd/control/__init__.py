"""The local control protocol: AMP over a unix socket."""
