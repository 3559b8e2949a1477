  ;; From {S}'s memory to {D}'s: what is much at first.
  (func ${W}_copy (param $to i32) (param $from i32) (param $size i32)
    {LOCALS}
    {LARGE}
    (block $done
      (loop $more
        (br_if $done (i32.lt_u (local.get $size) (i32.const 8)))
        ({D i64.store} (local.get $to) ({S i64.load} (local.get $from)))
        (local.set $to (i32.add (local.get $to) (i32.const 8)))
        (local.set $from (i32.add (local.get $from) (i32.const 8)))
        (local.set $size (i32.sub (local.get $size) (i32.const 8)))
        (br $more)))
    (block $done
      (loop $more
        (br_if $done (i32.eqz (local.get $size)))
        ({D i32.store8} (local.get $to) ({S i32.load8_u} (local.get $from)))
        (local.set $to (i32.add (local.get $to) (i32.const 1)))
        (local.set $from (i32.add (local.get $from) (i32.const 1)))
        (local.set $size (i32.sub (local.get $size) (i32.const 1)))
        (br $more))))

