// Package sqlite is the embedded store: one directory that holds two SQLite databases and a folder of blobs.
//
//	enfold.db    records, queues and the logs of transactions; every commit is fsynced
//	logs.db      log chunks that may lag by a fifth of a second, so that logs never stall commits
//	blobs/       one file per blob, written aside and renamed into place
//	enfold.lock  held while a server uses the directory
//
// One goroutine writes. It runs the transactions of many callers one after another, each in a savepoint of its own, and
// commits them together: one fsync for the group, which is what makes durable writes fast. A caller whose function fails
// takes back its own savepoint only. Readers have connections of their own and see snapshots. Checkpoints of the write-ahead
// log run on yet another connection, so that no caller waits for one.
//
// Every row belongs to a space, which is a row of its own: (kind, name, account, region). The rest of the schema names a
// space by its number, and nothing reads or writes a row without first finding the space of the caller's scope.
package sqlite
