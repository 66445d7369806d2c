// Package store is the contract of durable state: records, queues, logs and blobs.
//
// There is no SQL outside store/<backend>, and no other durable state in the house. What every backend must pass is in
// store/storetest, power cut included.
package store
