"""A MeshSpec and its signatures to a Plan: which need is bound to which provider."""
