"""Kubernetes' own control plane for tests: etcd, kube-apiserver and kube-controller-manager.

    with ControlPlane() as plane:
        plane.start()
        nodes = CoreV1Api(plane.client()).list_node()

`binaries` finds the programs or builds them, `control_plane` runs them, `users` says who one can
be there, `audit` reads who asked for what. Blocking; no Twisted.
"""
