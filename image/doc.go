// Package image keeps the file systems of container images on disk: it fetches an image from a registry, an OCI layout or a
// docker-archive, verifies every byte against its digest and unpacks each layer once, whoever's image it is part of.
//
// An image is known by the digest of its manifest for one platform, a layer by its diff id: the digest of its tar, not of what was
// sent. Both are whole or absent: they are unpacked under a temporary name, written out and renamed. What was left by a process that
// died is swept by [Open].
//
// Everything that comes from outside is hostile: manifests, configurations, layers, registries and what they redirect to. Nothing is
// written, linked or removed outside a layer's own directory, because every path is resolved by the kernel beneath that directory
// (openat2 with RESOLVE_IN_ROOT). Refused are a "..", a hard link to what the layer does not have, a whiteout of a parent, names and
// paths that are too long, and whatever is larger than [Limits]. Made harmless are absolute names (they begin at the layer's root),
// devices and fifos (left out), set-user-id and set-group-id (stripped), owners (all is ours) and extended attributes (dropped).
//
// A layer that is on disk is given only to those who could have had it anyway: an owner who names a layer of somebody else has to bring
// its bytes once. Otherwise a configuration that names the digest of a stranger's layer would be a way to read it.
//
// Not like containerd: a layer is unpacked by itself and not over those below it, so a symbolic link of a lower layer is not followed
// when a path of an upper layer goes through it: the upper layer's directory takes its place, as in Docker's overlay2. Modification
// times are kept for files and symbolic links, not for directories.
package image
