package logs

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"github.com/enfold-run/enfold/aws"
)

// maxToken bounds the tokens of lists; a stream's name is at most 1,000 bytes.
const maxToken = 2048

// listToken is the token of a list that goes on after place. It is only good for a request with the same parameters.
func listToken(place string, parameters ...string) string {
	b := binary.BigEndian.AppendUint32(nil, bind(parameters))
	b = append(b, place...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseListToken is the place in a token that listToken made for the same parameters. No token is the place "".
func parseListToken(token *string, parameters ...string) (string, error) {
	if token == nil {
		return "", nil
	}
	if len(*token) > maxToken {
		return "", errToken()
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(*token)
	if err != nil || len(b) < 8 {
		return "", errToken()
	}
	body, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if crc32.ChecksumIEEE(body) != sum || binary.BigEndian.Uint32(body) != bind(parameters) {
		return "", errToken()
	}
	return string(body[4:]), nil
}

func bind(parameters []string) uint32 {
	return crc32.ChecksumIEEE([]byte(strings.Join(parameters, "\x00")))
}

func errToken() *aws.Error { return invalid("The specified nextToken is invalid.") }
