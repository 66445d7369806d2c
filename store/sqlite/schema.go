package sqlite

import (
	"fmt"
	"strings"
)

// applicationID is in the header of every database of Enfold: "Enfd".
const applicationID = 0x456e6664

// schema is what a database file holds, and its version.
type schema struct {
	version int64
	sql     string
	// upgrades bring a file of a version to the next one: of version 1, of version 2 …
	upgrades [2]string
}

// A space is whose rows they are and what they are called. Its number is never 0 or 1, because SQLite plans a statement anew
// when a parameter changes to or from those.
const spacesSQL = `
CREATE TABLE spaces (
	id      INTEGER PRIMARY KEY,
	kind    INTEGER NOT NULL,
	name    TEXT NOT NULL,
	account TEXT NOT NULL,
	region  TEXT NOT NULL,
	UNIQUE (kind, name, account, region)
);
`

// mainSchema is enfold.db. The numbers of spaces, versions and sequence numbers all come from counters.value of space 1, which is
// none, and which only grows: a row that is deleted and made again never has an old version. The other rows of counters say how
// many messages of a queue are in each state.
//
// A message's state is one of the states in queue.go. due is 0 while it is ready, so that the index has the ready ones in
// the order of their sequence numbers. The body of a large message is in bodies, so that a claim need not write it again.
var mainSchema = schema{version: 3, upgrades: [2]string{upgradeMain1, upgradeMain2}, sql: spacesSQL + `
` + countersSQL + `
INSERT INTO counters VALUES (1, 100, 0, 0, 0, 0);

CREATE TABLE records (
	space   INTEGER NOT NULL,
	key     TEXT NOT NULL,
	version INTEGER NOT NULL,
	value   BLOB,
	PRIMARY KEY (space, key)
) WITHOUT ROWID;

CREATE TABLE messages (
	seq      INTEGER PRIMARY KEY,
	space    INTEGER NOT NULL,
	state    INTEGER NOT NULL,
	due      INTEGER NOT NULL,
	tries    INTEGER NOT NULL,
	token    INTEGER NOT NULL,
	first    INTEGER NOT NULL,
	enqueued INTEGER NOT NULL,
	id       TEXT NOT NULL,
	grp      TEXT NOT NULL,
	size     INTEGER NOT NULL,
	body     BLOB
);
CREATE INDEX messages_due ON messages (space, state, due);
CREATE INDEX messages_group ON messages (space, grp, state) WHERE grp <> '';

CREATE TABLE bodies (seq INTEGER PRIMARY KEY, body BLOB NOT NULL);

CREATE TABLE dedups (
	space   INTEGER NOT NULL,
	dedup   TEXT NOT NULL,
	expires INTEGER NOT NULL,
	seq     INTEGER NOT NULL,
	id      TEXT NOT NULL,
	PRIMARY KEY (space, dedup)
) WITHOUT ROWID;
CREATE INDEX dedups_expires ON dedups (expires);

CREATE TABLE chunks (
	seq   INTEGER PRIMARY KEY,
	space INTEGER NOT NULL,
	first INTEGER NOT NULL,
	last  INTEGER NOT NULL,
	count INTEGER NOT NULL,
	data  BLOB
);
CREATE INDEX chunks_space ON chunks (space);
`}

const countersSQL = `
CREATE TABLE counters (
	space   INTEGER PRIMARY KEY,
	value   INTEGER NOT NULL,
	delayed INTEGER NOT NULL,
	ready   INTEGER NOT NULL,
	blocked INTEGER NOT NULL,
	leased  INTEGER NOT NULL
);
`

// upgradeMain1 brings a file of version 1 to version 2: the time of a message's first claim, and which message of a group is
// the first of a state.
const upgradeMain1 = `
ALTER TABLE messages ADD COLUMN first INTEGER NOT NULL DEFAULT 0;
DROP INDEX messages_group;
CREATE INDEX messages_group ON messages (space, grp, state) WHERE grp <> '';
`

// upgradeMain2 brings a file of version 2 to version 3: how many messages the queues hold.
const upgradeMain2 = countersSQL + `
INSERT INTO counters SELECT 1, value, 0, 0, 0, 0 FROM counter;
DROP TABLE counter;
INSERT INTO counters SELECT space, 0, sum(state = 0), sum(state = 1), sum(state = 2), sum(state = 3) FROM messages GROUP BY space;
`

// logsSchema is logs.db. The index has the times, so that a range of time is found without reading chunks.
var logsSchema = schema{version: 1, sql: spacesSQL + `
CREATE TABLE chunks (
	seq   INTEGER PRIMARY KEY,
	space INTEGER NOT NULL,
	first INTEGER NOT NULL,
	last  INTEGER NOT NULL,
	count INTEGER NOT NULL,
	data  BLOB
);
CREATE INDEX chunks_space ON chunks (space, seq, last, first);
`}

var (
	qWAL           = &query{"PRAGMA journal_mode=WAL"}
	qApplicationID = &query{"PRAGMA application_id"}
	qUserVersion   = &query{"PRAGMA user_version"}
	qAnyTable      = &query{"SELECT 1 FROM sqlite_schema LIMIT 1"}
)

// prepareFile checks whose file it is and brings it to this version of the schema.
func (c *conn) prepareFile() error {
	app, err := c.number(qApplicationID)
	if err != nil {
		return err
	}
	version, err := c.number(qUserVersion)
	if err != nil {
		return err
	}
	want := c.file.schema
	switch {
	case app == applicationID && version == want.version:
		return nil
	case app == applicationID && version > want.version:
		return fmt.Errorf("%s was written by a newer Enfold (its format is %d, this one knows %d): use that one, or name another directory for the data",
			c.file.path, version, want.version)
	case app == applicationID && version > 0 && version < want.version:
		return c.upgrade(want.upgrades[version-1 : want.version-1])
	case app == applicationID:
		return fmt.Errorf("%s has the unknown format %d", c.file.path, version)
	}
	if _, foreign, err := c.one(qAnyTable); err != nil {
		return err
	} else if foreign || app != 0 || version != 0 {
		return fmt.Errorf("%s is not a database of Enfold: move it away, or name another directory for the data", c.file.path)
	}
	return c.createSchema()
}

// createSchema is one transaction, so that a crash leaves an empty file or a whole schema. If it fails, whoever opened the connection
// closes it, which takes the transaction back.
func (c *conn) createSchema() error {
	mode, _, err := c.one(qWAL)
	if err != nil {
		return err
	}
	if mode[0] != "wal" {
		return fmt.Errorf("create %s: its file system has no shared memory, which SQLite needs: put the data on a local disk", c.file.path)
	}
	sql := fmt.Sprintf("BEGIN IMMEDIATE; %s; PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
		c.file.schema.sql, applicationID, c.file.schema.version)
	if err := c.script(sql); err != nil {
		return fmt.Errorf("create %s: %w", c.file.path, err)
	}
	return nil
}

// upgrade brings a file of an earlier version to this one, in one transaction.
func (c *conn) upgrade(steps []string) error {
	sql := fmt.Sprintf("BEGIN IMMEDIATE; %s; PRAGMA user_version=%d; COMMIT", strings.Join(steps, ";"), c.file.schema.version)
	if err := c.script(sql); err != nil {
		return fmt.Errorf("upgrade %s: %w", c.file.path, err)
	}
	return nil
}

// number answers a query of one number.
func (c *conn) number(q *query, args ...any) (int64, error) {
	row, ok, err := c.one(q, args...)
	if err != nil || !ok {
		return 0, err
	}
	n, _ := row[0].(int64)
	return n, nil
}
