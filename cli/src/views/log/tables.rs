//! What the folder of a broker holds, in tables.

use super::{Inspection, Topic};
use crate::output::{Align, Fields, Show, Table};
use crate::units::{count, counted, size};

impl Show for Inspection {
    fn text(&self, wide: bool) -> String {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let fields = Fields::default()
            .with("folder", &self.folder)
            .with(
                "broker",
                format!("{} of {}", text(&self.broker), text(&self.cluster)),
            )
            .with("uuid", text(&self.uuid))
            .with(
                "term",
                self.term.map_or_else(String::new, |term| term.to_string()),
            )
            .with(
                "log",
                format!(
                    "{} to {} ({}), synced at least to {}; next index {}",
                    self.first_offset,
                    self.end_offset,
                    size(self.end_offset - self.first_offset),
                    self.durable_offset,
                    self.next_index
                ),
            )
            .with(
                "index",
                format!(
                    "{}, {} in {} sorted and {}",
                    counted(self.index.items, "item", "items"),
                    size(self.index.bytes),
                    self.index.sorted_files,
                    counted(self.index.run_files, "other file", "other files")
                ),
            );
        let mut kinds = Table::new(
            "no commands",
            &[("COMMAND", Align::Left), ("NUMBER", Align::Right)],
        );
        for (kind, number) in &self.commands_by_kind {
            kinds.row([kind.clone(), count(*number)]);
        }
        let parts = [
            fields.render(),
            self.segments(wide),
            kinds.render(),
            self.checkpoints(),
            self.topics(wide),
        ];
        parts.join("\n\n")
    }
}

impl Inspection {
    fn segments(&self, wide: bool) -> String {
        let mut columns = vec![
            ("SEGMENT", Align::Left),
            ("STATE", Align::Left),
            ("FROM", Align::Right),
            ("TO", Align::Right),
            ("FIRST INDEX", Align::Right),
            ("FRAMES", Align::Right),
            ("COMMANDS", Align::Right),
            ("MESSAGES", Align::Right),
            ("TERMS", Align::Right),
        ];
        if wide {
            columns.extend([
                ("FILE", Align::Right),
                ("FIRST AT", Align::Left),
                ("LAST AT", Align::Left),
            ]);
        }
        let mut table = Table::new("no segments", &columns);
        for segment in &self.segments {
            let mut row = vec![segment.file.clone(), segment.state.to_owned()];
            row.extend(
                [segment.first_offset, segment.end_offset, segment.first_index]
                    .map(|number| number.to_string()),
            );
            row.extend([segment.frames, segment.commands, segment.messages].map(count));
            row.push(segment.terms());
            if wide {
                let moment = |at: &Option<String>| at.clone().unwrap_or_default();
                row.extend([
                    size(segment.file_bytes),
                    moment(&segment.first_at),
                    moment(&segment.last_at),
                ]);
            }
            table.row(row);
        }
        table.render()
    }

    fn checkpoints(&self) -> String {
        let mut table = Table::new(
            "no checkpoints",
            &[
                ("CHECKPOINT", Align::Left),
                ("OFFSET", Align::Right),
                ("NEXT INDEX", Align::Right),
                ("TERM", Align::Right),
                ("PARTS", Align::Right),
                ("PACKS", Align::Right),
                ("SIZE", Align::Right),
            ],
        );
        for found in &self.checkpoints {
            let mut row = vec![found.file.clone()];
            row.extend([found.offset, found.next_index, found.term].map(|number| number.to_string()));
            row.extend([count(found.parts), count(found.packs), size(found.bytes)]);
            table.row(row);
        }
        table.render()
    }

    /// What is said where no topic is known to have messages: those of the log have topics all the same.
    fn none_of_a_topic(&self) -> &'static str {
        let are_there = self.segments.iter().any(|segment| segment.messages > 0);
        match (are_there, self.checkpoints.iter().any(|found| found.whole)) {
            (false, _) => "no messages",
            (true, false) => {
                "of which topics the messages are only a checkpoint says, and there is none that is whole"
            }
            (true, true) => {
                "no topic has messages up to the newest checkpoint; of which topics those behind it are only the next one says"
            }
        }
    }

    /// A broker that has many topics has most of them empty: those are for whoever asks for everything.
    fn topics(&self, wide: bool) -> String {
        let mut table = Table::new(
            self.none_of_a_topic(),
            &[
                ("TOPIC", Align::Left),
                ("ID", Align::Right),
                ("QUEUES", Align::Right),
                ("MESSAGES", Align::Right),
                ("FILES", Align::Right),
                ("SIZE", Align::Right),
            ],
        );
        let shown = |topic: &&Topic| wide || topic.messages > 0;
        for topic in self.topics.iter().filter(shown) {
            table.row([
                topic.name.clone().unwrap_or_default(),
                topic.id.to_string(),
                topic.queues.to_string(),
                count(topic.messages),
                topic.files.to_string(),
                size(topic.bytes),
            ]);
        }
        let left_out = self.topics.iter().filter(|topic| !shown(topic)).count();
        match left_out {
            0 => table.render(),
            _ => format!(
                "{}\n\n{} left out: -o wide shows them",
                table.render(),
                counted(
                    left_out as u64,
                    "topic without messages is",
                    "topics without messages are"
                )
            ),
        }
    }
}
