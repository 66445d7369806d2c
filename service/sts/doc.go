// Package sts implements AWS Security Token Service: who the caller is.
package sts
