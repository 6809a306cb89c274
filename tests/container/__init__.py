"""The image and the manifests: the mesh from containers, with their rights and no more."""
