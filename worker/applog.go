package worker

import (
	"bytes"
	"encoding/json"
	"time"
)

// appLog is the least level of the JSON lines that a function may write, whoever in it wrote them. Zero lets everything pass.
// See https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html.
type appLog int

// logLevels are the names of levels, and those that Python has for two of them.
var logLevels = []struct {
	name  string
	level appLog
}{
	{"TRACE", 1}, {"DEBUG", 2}, {"INFO", 3}, {"WARN", 4}, {"WARNING", 4}, {"ERROR", 5}, {"FATAL", 6}, {"CRITICAL", 6},
}

func newAppLog(f *Function) appLog {
	if f.LogFormat != "JSON" {
		return 0
	}
	return levelOf([]byte(f.LogLevel))
}

// levelOf is zero if there is no such level.
func levelOf(name []byte) appLog {
	for _, l := range logLevels {
		if len(name) == len(l.name) && bytes.EqualFold(name, []byte(l.name)) {
			return l.level
		}
	}
	return 0
}

// drops says that a line is a JSON object with a level that is too low. It needs a time too, as on AWS. What has no level stays.
// It is called for all that functions write: most lines are looked at no further than for the word, and it allocates nothing.
func (least appLog) drops(line []byte) bool {
	if least <= 1 || !bytes.Contains(line, []byte(`"level"`)) {
		return false
	}
	line = bytes.TrimSpace(line)
	if line[0] != '{' || line[len(line)-1] != '}' {
		return false
	}
	name, at := levelAndTime(line)
	if level := levelOf(name); level == 0 || level >= least {
		return false
	}
	_, err := time.Parse(time.RFC3339, string(at))
	return err == nil && json.Valid(line)
}

// levelAndTime are the strings that the members level and timestamp of an object have, nil where they have none. Whether the rest is JSON
// it does not tell. A member that is written with escapes is not found: no logger does that.
func levelAndTime(object []byte) (level, timestamp []byte) {
	var member *[]byte // whose value comes next
	depth, isName := 0, false
	for i := 0; i < len(object); i++ {
		switch object[i] {
		case '{', '[':
			depth++
			isName = depth == 1
		case '}', ']':
			depth--
		case ',':
			isName = depth == 1
		case '"':
			from := i + 1
			for i = from; i < len(object) && object[i] != '"'; i++ {
				if object[i] == '\\' {
					i++
				}
			}
			if depth != 1 || i >= len(object) {
				continue
			}
			text := object[from:i]
			switch {
			case !isName && member != nil:
				*member = text
			case !isName:
			case string(text) == "level":
				member, level = &level, nil
			case string(text) == "timestamp":
				member, timestamp = &timestamp, nil
			default:
				member = nil
			}
			isName = false
		}
	}
	return level, timestamp
}
