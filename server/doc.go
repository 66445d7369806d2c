// Package server builds everything, in order, in one readable function, and is the only importer of every service.
package server
