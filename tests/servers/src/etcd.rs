//! An etcd cluster.
