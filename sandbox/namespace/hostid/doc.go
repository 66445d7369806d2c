// Package hostid hands out the host user ids that sandboxes of root have, one block of them to each driver of this host.
package hostid
