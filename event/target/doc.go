// Package target sends messages to the places that events go to: queues, functions, topics, HTTP endpoints.
//
// Places inside Enfold are reached by the calls that everybody makes, in process: the place's own policy decides, and the audit
// trail has it. What [Sender.Send] answers is what a handler of package event wants: nil, an error that a later try may better,
// or an [event.Permanent] one.
package target
