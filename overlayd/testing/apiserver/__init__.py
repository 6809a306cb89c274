"""An HTTP server with the semantics of Kubernetes' Nodes, for development, tests and the demo.

It answers as a kube-apiserver does wherever overlayd relies on it: paged consistent lists, watches
with bookmarks and 410, merge patches, Status bodies. Nodes only. A suite (tests/apiserver) holds
both to the same.

    python -m overlayd.testing.apiserver --listen 127.0.0.1:8080 --testing

`process.development_server` starts one as a process of its own; `server.DevelopmentApiServer` is
the same inside a reactor. `faults.Faults` says what can be made to go wrong, `controls` how to
ask for it over HTTP (only with --testing).
"""
