// Package sigv4 answers who signed a request: AWS Signature Version 4, seen from the server's side.
//
// It verifies the header form and the query form (presigned URLs), and payloads that are hashed whole, unsigned, or signed
// chunk by chunk with or without trailers. The signing half (Sign, Presign) serves Enfold's own commands and download links.
//
// What a caller may rely on:
//
//   - Nothing a stranger sends is stored: a signing key is cached only after a signature made with it was right.
//   - Signatures are compared in constant time, and no secret and no signature is in an error or a log line.
//   - Every x-amz-* header that is present was signed, except the session token, which is looked up together with the
//     access key and so cannot be exchanged.
//   - Sizes are bounded before work is done: see the Max constants.
//
// Not like AWS: any region is a valid region, and SigV4A (AWS4-ECDSA-P256-SHA256) is refused as unsupported.
//
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html.
package sigv4
