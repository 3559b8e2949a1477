;; One resource of the provider: what its own code calls for its handles, and how the consumer drops one.
(module
  (import "consumer" "busy" (global $busy (mut i32)))
  (import "consumer" "take" (func $theirs_take (param i32 i32) (result i32)))
  (import "provider" "new" (func $own_new (param i32 i32) (result i32)))
  (import "provider" "rep" (func $own_rep (param i32 i32) (result i32)))
  (import "provider" "take" (func $own_take (param i32 i32) (result i32)))
  (import "resource" "end" (func $end (param i32)))

  (func $call_within_a_call unreachable)

  (func (export "new") (param i32) (result i32) (call $own_new (i32.const {KIND}) (local.get 0)))
  (func (export "rep") (param i32) (result i32) (call $own_rep (i32.const {KIND}) (local.get 0)))
  (func (export "drop") (param i32) (call $end (call $own_take (i32.const {KIND}) (local.get 0))))
  (func (export "consumer-drop") (param i32)
    (if (global.get $busy) (then (call $call_within_a_call)))
    (call $end (call $theirs_take (i32.const {KIND}) (local.get 0)))))
