//! A house at rest, and copies of it: each of many requests begins where all the others do.

use std::{
    fs,
    sync::{Arc, atomic::Ordering},
};

use keygate_model::{CustomerId, Timestamp};

use super::{Ground, House, Node, Person};

/// What a house was when it was laid to rest.
pub(crate) struct Mould {
    ground: Arc<Ground>,
    now: Timestamp,
    customer: CustomerId,
    ada: Person,
    bob: Person,
}

impl House {
    /// Stops the server and keeps what it knew.
    pub(crate) async fn rest(self) -> Mould {
        let now = self.now();
        let Self { node, customer, ada, bob, ground } = self;
        node.close().await;
        Mould { ground, now, customer, ada, bob }
    }
}

impl Mould {
    /// A house like it, on files of its own, at the same moment. What chance gives is the same in every cast.
    pub(crate) async fn cast(&self) -> House {
        let ground = Ground::new(self.ground.quota, self.ground.public_url.clone());
        // Far from what the first house drew, or ids would come twice.
        ground.openings.store(1000, Ordering::Relaxed);
        for file in fs::read_dir(&self.ground.dir).expect("a directory") {
            let file = file.expect("a file");
            fs::copy(file.path(), ground.dir.join(file.file_name())).expect("a copy");
        }
        let (ground, customer) = (Arc::new(ground), self.customer);
        let node = Node::open(&ground, self.now).await;
        House { node, customer, ada: self.ada.clone(), bob: self.bob.clone(), ground }
    }
}
