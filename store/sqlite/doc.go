// Package sqlite is the embedded store: one directory that holds two SQLite databases and a folder of blobs.
//
//	enfold.db    records, queues and the logs of transactions; every commit is fsynced
//	logs.db      log chunks that may lag by a fifth of a second, so that logs never stall commits
//	blobs/       one file per blob, written aside and renamed into place
//	enfold.lock  held while a server uses the directory
//
// One goroutine at a time writes. It runs the transactions of many callers one after another and commits them together: one sync
// for the group, which is what makes durable writes fast. A caller whose function fails takes back what it wrote only: the group
// runs again, and for a while each function gets a savepoint. While a group is synced the next one runs already. Readers have
// connections of their own and see snapshots; what they saw is durable when they learn of it. Checkpoints of the write-ahead log
// run on yet another connection, so that no caller waits for one.
//
// When a sync fails nobody knows what the disk has. The store answers nothing but errors then, until it is opened anew.
//
// Every row belongs to a space, which is a row of its own: (kind, name, account, region). The rest of the schema names a
// space by its number, and nothing reads or writes a row without first finding the space of the caller's scope.
package sqlite
