package runtimeapi

// state is where the runtime process is. The names are AWS's; runtimes see them in InvalidStateTransition errors.
type state uint8

const (
	stateStarted     state = iota // before the first next
	stateInitError                // it posted /runtime/init/error
	stateReady                    // it called next and has no event
	stateRunning                  // it has an event, whose invocation may have been given up
	stateResponse                 // it is uploading a response
	stateErrorAnswer              // it is uploading an error
	stateSent                     // it answered and has not called next
)

func (s state) String() string {
	return [...]string{
		"Started", "InitError", "Ready", "Running", "InvocationResponse", "InvocationErrorResponse", "RuntimeResponseSentState",
	}[s]
}
