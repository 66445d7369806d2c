package sigv4

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/enfold-run/enfold/aws"
)

// The refusals of every service but S3. QueryCode is how the query protocols spell them.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html.
var (
	ErrMissingToken        = forbidden("MissingAuthenticationTokenException", "MissingAuthenticationToken")
	ErrUnrecognizedClient  = forbidden("UnrecognizedClientException", "InvalidClientTokenId")
	ErrInvalidSignature    = forbidden("InvalidSignatureException", "SignatureDoesNotMatch")
	ErrExpiredToken        = forbidden("ExpiredTokenException", "ExpiredToken")
	ErrIncompleteSignature = badRequest("IncompleteSignatureException", "IncompleteSignature")
	ErrRequestExpired      = badRequest("RequestExpired", "RequestExpired")
)

// The refusals of S3, which has its own codes.
// See https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.
var (
	ErrS3AccessDenied         = forbidden("AccessDenied", "AccessDenied")
	ErrS3InvalidAccessKeyID   = forbidden("InvalidAccessKeyId", "InvalidAccessKeyId")
	ErrS3SignatureMismatch    = forbidden("SignatureDoesNotMatch", "SignatureDoesNotMatch")
	ErrS3TimeTooSkewed        = forbidden("RequestTimeTooSkewed", "RequestTimeTooSkewed")
	ErrS3ExpiredToken         = badRequest("ExpiredToken", "ExpiredToken")
	ErrS3HeaderMalformed      = badRequest("AuthorizationHeaderMalformed", "AuthorizationHeaderMalformed")
	ErrS3QueryMalformed       = badRequest("AuthorizationQueryParametersError", "AuthorizationQueryParametersError")
	ErrS3ContentSHA256        = badRequest("XAmzContentSHA256Mismatch", "XAmzContentSHA256Mismatch")
	ErrIncompleteBody         = badRequest("IncompleteBody", "IncompleteBody")
	ErrMissingDecodedLength   = &aws.ErrorType{Code: "MissingContentLength", Status: 411, MessageAs: "message", Untyped: true}
	ErrStreamEntityTooLarge   = &aws.ErrorType{Code: "EntityTooLarge", Status: 400, MessageAs: "message", Untyped: true}
	errUnsupportedStreamValue = badRequest("InvalidRequest", "InvalidRequest")
)

func forbidden(code, query string) *aws.ErrorType {
	return &aws.ErrorType{Code: code, QueryCode: query, Status: 403, MessageAs: "message", Untyped: true}
}

func badRequest(code, query string) *aws.ErrorType {
	return &aws.ErrorType{Code: code, QueryCode: query, Status: 400, MessageAs: "message", Untyped: true}
}

// MissingToken is the answer to a request that nobody signed.
func MissingToken() *aws.Error { return ErrMissingToken.New("Missing Authentication Token") }

func unknownKey(service string) *aws.Error {
	if service == s3 {
		return ErrS3InvalidAccessKeyID.New("The AWS Access Key Id you provided does not exist in our records.").Because(ErrRefused)
	}
	return ErrUnrecognizedClient.New("The security token included in the request is invalid.").Because(ErrRefused)
}

func mismatch(service string) *aws.Error {
	if service == s3 {
		return ErrS3SignatureMismatch.New("The request signature we calculated does not match the signature you provided. " +
			"Check your key and signing method.").Because(ErrRefused)
	}
	return ErrInvalidSignature.New("The request signature we calculated does not match the signature you provided. " +
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.").Because(ErrRefused)
}

func expiredToken(service string) *aws.Error {
	if service == s3 {
		return ErrS3ExpiredToken.New("The provided token has expired.")
	}
	return ErrExpiredToken.New("The security token included in the request is expired")
}

// wrongBody is for a body that is not the one whose hash was signed.
func wrongBody(service string) *aws.Error {
	if service == s3 {
		return ErrS3ContentSHA256.New("The provided 'x-amz-content-sha256' header does not match what was computed.").Because(ErrRefused)
	}
	return mismatch(service)
}

func unsignedHeader(service, name string) *aws.Error {
	if service == s3 {
		return ErrS3AccessDenied.New("There were headers present in the request which were not signed").
			With("HeadersNotSigned", name)
	}
	return ErrInvalidSignature.Withf("'%s' must be a 'SignedHeader' in the AWS Authorization.", name)
}

// stale is for a signature outside the fifteen minutes around now.
func stale(service string, signed, now time.Time) *aws.Error {
	if service == s3 {
		return ErrS3TimeTooSkewed.New("The difference between the request time and the current time is too large.")
	}
	at, is := signed.UTC().Format(isoBasic), now.UTC().Format(isoBasic)
	if signed.Before(now) {
		return ErrInvalidSignature.Withf("Signature expired: %s is now earlier than %s (%s - 15 min.)",
			at, now.UTC().Add(-MaxSkew).Format(isoBasic), is)
	}
	return ErrInvalidSignature.Withf("Signature not yet current: %s is still later than %s (%s + 15 min.)",
		at, now.UTC().Add(MaxSkew).Format(isoBasic), is)
}

func presignExpired(service string) *aws.Error {
	if service == s3 {
		return ErrS3AccessDenied.New("Request has expired")
	}
	return ErrRequestExpired.New("Request has expired.")
}

// incomplete names every parameter that the Authorization header lacks, as AWS does. The header itself may hold anything,
// a password typed into the wrong place included, so it is shown as a hash.
func incomplete(header string, missing []string) *aws.Error {
	var b strings.Builder
	for _, m := range missing {
		b.WriteString(m)
		b.WriteByte(' ')
	}
	return ErrIncompleteSignature.Withf("%s(Hashed with SHA-256 and encoded with Base64) Authorization=%s", &b, hashed(header))
}

func notKeyValue(header string) *aws.Error {
	return ErrIncompleteSignature.Withf("Invalid key=value pair (missing equal-sign) in Authorization header "+
		"(hashed with SHA-256 and encoded with Base64): '%s'.", hashed(header))
}

func hashed(s string) string {
	h := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(h[:])
}

// malformedQuery is for a query form whose parameters are missing or out of range.
func malformedQuery(service, format string, args ...any) *aws.Error {
	if service == s3 {
		return ErrS3QueryMalformed.Withf(format, args...)
	}
	return ErrIncompleteSignature.Withf(format, args...)
}

// quoted is a value from outside as an error may show it: short and printable.
func quoted(s string) string {
	if len(s) > 128 {
		s = s[:128] + "…"
	}
	return strings.Trim(fmt.Sprintf("%+q", s), `"`)
}
