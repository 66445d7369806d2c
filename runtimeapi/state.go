package runtimeapi

// state is where the runtime process is. The names are AWS's; runtimes see them in InvalidStateTransition errors.
type state uint8

const (
	stateStarted      state = iota // before the first next
	stateInitError                 // it posted /runtime/init/error
	stateReady                     // it called next and has no event
	stateRunning                   // it has an event, whose invocation may have been given up
	stateResponse                  // it is uploading a response
	stateErrorAnswer               // it is uploading an error
	stateSent                      // it answered and has not called next
	stateHeld                      // it called restore/next, which is not answered
	stateRestoring                 // restore/next was answered, it has not called next
	stateRestoreError              // it posted /runtime/restore/error
)

func (s state) String() string {
	return [...]string{
		"Started", "InitError", "Ready", "Running", "InvocationResponse", "InvocationErrorResponse", "RuntimeResponseSentState",
		"RestoreReady", "Restoring", "RestoreError",
	}[s]
}
