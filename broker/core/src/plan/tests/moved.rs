//! Groups that are moved, or change their order, under receives.

use super::*;
use crate::command::{GroupSpec, PutGroup, SetFloor, Target, Terms, encode_level};

impl Queue {
    fn at_level_2(fifo: bool) -> Self {
        let mut queue = Self::new(fifo);
        for level in [1, 2] {
            queue.run(&encode_level(START, level)).unwrap();
        }
        queue
    }

    /// Moves the group, and tells the cursor.
    fn move_to(&mut self, offset: u64) {
        self.move_unheard(offset);
        self.cursor.start_over();
    }

    /// Moves the group; word of it is still on its way to the cursor.
    fn move_unheard(&mut self, offset: u64) {
        let command = SetFloor {
            id: ID,
            target: Target::Offset(QueueOffset(offset)),
            epoch: 0,
        };
        self.run(&command.encode(self.clock)).unwrap();
    }

    fn order(&mut self, fifo: bool) {
        let spec = GroupSpec {
            fifo,
            ..self.state.tables().group("workers").unwrap().spec.clone()
        };
        let put = PutGroup {
            spec,
            terms: Terms::default(),
        };
        self.run(&put.encode(self.clock)).unwrap();
    }
}

#[test]
fn back_everything_is_offered_again_but_for_what_is_offered_now() {
    for fifo in [false, true] {
        let mut queue = Queue::at_level_2(fifo);
        queue.send_groups(&["a", "b", "c", "d"]);
        queue.receive(2);
        let under_way = queue.select(1);
        assert_eq!(offered(&under_way), [2]);
        queue.move_to(0);
        let again = queue.select(9);
        assert_eq!(offered(&again), [0, 1, 3], "fifo {fifo}");
        assert_eq!(taken(&queue.deliver(&again)), [0, 1, 3]);
        assert!(
            taken(&queue.deliver(&under_way)).is_empty(),
            "it was chosen before the move"
        );
        assert_eq!(offered(&queue.select(9)), [2], "fifo {fifo}");
    }
}

#[test]
fn forward_what_is_above_goes_on_and_what_waited_for_the_skipped_is_free() {
    let mut queue = Queue::at_level_2(true);
    queue.send_groups(&["a", "a", "b", "a"]);
    assert_eq!(taken(&queue.receive(1)), [0]);
    assert_eq!(offered(&queue.select(1)), [2], "a waits for its first message");
    queue.move_to(1);
    assert_eq!(offered(&queue.select(9)), [1, 3]);
}

#[test]
fn a_group_is_looked_at_in_another_order_once_nothing_is_offered_in_the_old_one() {
    let mut queue = Queue::at_level_2(false);
    queue.send_groups(&["a", "a", "b"]);
    let (first, second) = (queue.select(1), queue.select(1));
    assert_eq!((offered(&first), offered(&second)), (vec![0], vec![1]));
    queue.order(true);
    assert!(queue.select(9).is_empty(), "two are offered without order");
    assert!(taken(&queue.deliver(&second)).is_empty(), "apply takes neither");
    assert!(queue.select(9).is_empty(), "one is");
    assert!(taken(&queue.deliver(&first)).is_empty());
    let in_order = queue.select(1);
    assert_eq!((offered(&in_order), in_order.standing.in_order), (vec![0], true));
    assert_eq!(taken(&queue.deliver(&in_order)), [0]);
    assert_eq!(offered(&queue.select(9)), [2]);
}

#[test]
fn what_was_parked_is_offered_once_the_group_is_not_fifo_any_more() {
    let mut queue = Queue::at_level_2(true);
    queue.send_groups(&["a", "a", "a"]);
    let delivered = queue.receive(1);
    assert!(queue.select(9).is_empty(), "two are parked");
    queue.settle(Change::Done, 0, delivered.delivery);
    queue.order(false);
    assert_eq!(offered(&queue.select(9)), [1, 2]);
}

#[test]
fn a_choice_follows_a_move_back_that_it_has_not_heard_of() {
    for fifo in [false, true] {
        let mut queue = Queue::at_level_2(fifo);
        queue.send_groups(&["a", "a", "a"]);
        let delivered = queue.receive(2);
        for offset in [0, 1] {
            queue.settle(Change::Done, offset, delivered.delivery);
        }
        queue.move_unheard(0);
        assert_eq!(queue.cursor.reads_from(&queue.view(), START), QueueOffset(0));
        let plan = queue.select(9);
        assert_eq!(offered(&plan), [0, 1, 2], "fifo {fifo}");
        assert_eq!(taken(&queue.deliver(&plan)), [0, 1, 2]);
    }
}
