// Package kms implements AWS Key Management Service: keys that never leave, and what is done with them.
//
// A key is one record with all its material; material is sealed with the server's key, bound to the account, the Region, the
// key and its own id, and is opened only for the length of one operation. Public keys lie beside it in the clear, so
// Verify and GetPublicKey open nothing.
//
// What is encrypted with a symmetric key says in its head which key and which material it needs: old material goes on
// decrypting after a rotation. The head and the encryption context are authenticated. Every ciphertext has a key of its own,
// derived from the material and a random salt, so there is no bound on how much one KMS key may encrypt.
//
// Who may do what is decided before a handler runs: [Service.ResourceGrants] gives the key's policy, without whose consent
// nothing is allowed, and the grants that cover the call. A handler acts only on keys of the account that the call was
// authorized for, and on exactly the key that the authorizer was told of, though an alias moves in between.
//
// A key whose waiting period is over does not exist any more, whether or not [Service.Run] has erased it yet.
//
// The keys of AWS services (alias/aws/lambda and so on) come into being when they are first used. Their ids follow from
// account, Region and service, so that naming one changes nothing.
//
// Not like AWS: a change of a key, alias or grant holds at once; ciphertexts are in a format of our own; imported material,
// custom key stores, replicas of multi-Region keys, Nitro enclaves and the specs ECC_SECG_P256K1, SM2 and ML_DSA are refused.
package kms
