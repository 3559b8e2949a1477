//! draft2, over the bindings of the guest that calls the macro: signed counters, and compare-and-swap by handles.

#[macro_export]
macro_rules! draft2 {
    () => {
        use store::Bucket;
        use $crate::check::{ok, same};
        use $crate::{Case, Failure, Subject, Verdict, common};

        $crate::drafts! {
            bucket: Bucket,
            open: store::open,
            single: Bucket,
            cursor: Ok::<_, String>,
            strange: "never given",
        }
        $crate::guest! { open, common::ALL, PAIRS, SIGNED, CURSORS, CAS }

        /// Counters.
        const SIGNED: &[Case] = &[("increment by a negative delta subtracts, below zero too", increment_negative)];

        fn increment_negative(subject: &Subject) -> Verdict {
            let bucket = open_here(subject)?;
            for (delta, sum) in [(5, 5), (-7, -2), (-1 << 40, -2 - (1 << 40)), (0, -2 - (1 << 40))] {
                same("increment", ok("increment", atomics::increment(&bucket, "counter", delta).map_err(text))?, sum)?;
            }
            Ok(())
        }

        /// Compare-and-swap.
        const CAS: &[Case] = &[
            ("a handle's current value is the key's, or none if the key is not there", cas_current),
            ("a swap sets the key if nothing wrote it since the handle was made", cas_swaps),
            ("a swap of a key that is not there creates it", cas_creates),
            ("a swap fails if the key was written since, and changes nothing", cas_conflict),
            ("a swap fails if the key was created since", cas_created_since),
            ("a swap fails if the key was deleted since", cas_deleted_since),
            ("the handle that a failed swap gives is on the latest value, and its swap succeeds", cas_retry),
            ("of two handles on one value the first swap succeeds and the second fails", cas_two),
        ];

        fn cas(bucket: &Bucket) -> Result<atomics::Cas, Failure> {
            ok("cas.new", atomics::Cas::new(bucket, "key").map_err(text))
        }

        fn current(cas: &atomics::Cas) -> Result<Option<Vec<u8>>, Failure> {
            ok("current", cas.current().map_err(text))
        }

        fn value(bucket: &Bucket) -> Result<Option<Vec<u8>>, Failure> {
            ok("get", bucket.get("key").map_err(text))
        }

        fn set(bucket: &Bucket, value: &[u8]) -> Verdict {
            ok("set", bucket.set("key", value).map_err(text))
        }

        fn swap(cas: atomics::Cas, value: &[u8]) -> Verdict {
            match atomics::swap(cas, value) {
                Ok(()) => Ok(()),
                Err(atomics::CasError::StoreError(error)) => ok("swap", Err(text(error))),
                Err(atomics::CasError::CasFailed(_)) => {
                    Err(Failure::Failed("a swap failed though nothing wrote the key".into()))
                }
            }
        }

        fn conflict(cas: atomics::Cas, value: &[u8]) -> Result<atomics::Cas, Failure> {
            match atomics::swap(cas, value) {
                Err(atomics::CasError::CasFailed(newer)) => Ok(newer),
                Err(atomics::CasError::StoreError(error)) => {
                    Err(Failure::Failed(format!("swap gave the store error {} instead of cas-failed", text(error))))
                }
                Ok(()) => Err(Failure::Failed("a swap succeeded though the key had been written".into())),
            }
        }

        fn cas_current(subject: &Subject) -> Verdict {
            let bucket = open_here(subject)?;
            same("current", current(&cas(&bucket)?)?, None)?;
            set(&bucket, b"value")?;
            same("current", current(&cas(&bucket)?)?, Some(b"value".to_vec()))
        }

        fn cas_swaps(subject: &Subject) -> Verdict {
            let bucket = open_here(subject)?;
            set(&bucket, b"before")?;
            swap(cas(&bucket)?, b"after")?;
            same("get", value(&bucket)?, Some(b"after".to_vec()))
        }

        fn cas_creates(subject: &Subject) -> Verdict {
            let bucket = open_here(subject)?;
            swap(cas(&bucket)?, b"new")?;
            same("get", value(&bucket)?, Some(b"new".to_vec()))
        }

        fn cas_conflict(subject: &Subject) -> Verdict {
            let bucket = open_here(subject)?;
            set(&bucket, b"before")?;
            let handle = cas(&bucket)?;
            set(&bucket, b"between")?;
            conflict(handle, b"after")?;
            same("get", value(&bucket)?, Some(b"between".to_vec()))
        }

        fn cas_created_since(subject: &Subject) -> Verdict {
            let bucket = open_here(subject)?;
            let handle = cas(&bucket)?;
            set(&bucket, b"between")?;
            conflict(handle, b"after")?;
            same("get", value(&bucket)?, Some(b"between".to_vec()))
        }

        fn cas_deleted_since(subject: &Subject) -> Verdict {
            let bucket = open_here(subject)?;
            set(&bucket, b"before")?;
            let handle = cas(&bucket)?;
            ok("delete", bucket.delete("key").map_err(text))?;
            let newer = conflict(handle, b"after")?;
            same("get", value(&bucket)?, None)?;
            same("current of the newer handle", current(&newer)?, None)
        }

        fn cas_retry(subject: &Subject) -> Verdict {
            let bucket = open_here(subject)?;
            set(&bucket, b"1")?;
            let mut handle = cas(&bucket)?;
            for between in [&b"2"[..], b"3", b"4"] {
                set(&bucket, between)?;
                handle = conflict(handle, b"mine")?;
                same("current of the newer handle", current(&handle)?, Some(between.to_vec()))?;
            }
            swap(handle, b"mine")?;
            same("get", value(&bucket)?, Some(b"mine".to_vec()))
        }

        fn cas_two(subject: &Subject) -> Verdict {
            let bucket = open_here(subject)?;
            set(&bucket, b"before")?;
            let (one, other) = (cas(&bucket)?, cas(&bucket)?);
            swap(one, b"by one")?;
            let newer = conflict(other, b"by the other")?;
            same("current of the newer handle", current(&newer)?, Some(b"by one".to_vec()))
        }
    };
}
