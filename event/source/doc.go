// Package source polls records from the places that functions are fed from: queues; streams and brokers later. A source is a
// file here and a row in server's table of them.
//
// Places inside Enfold are polled by the calls that everybody makes, in process, in the name of the function's role: its policies
// decide, and the audit trail has it.
package source
