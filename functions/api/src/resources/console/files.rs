//! The files of the console, embedded in this binary.

/// A file of the page.
pub struct File {
    /// Its name below `/console/{version}`.
    pub name: &'static str,
    /// Its content type.
    pub kind: &'static str,
    /// Its content.
    pub text: &'static str,
}

const fn script(name: &'static str, text: &'static str) -> File {
    File {
        name,
        kind: "text/javascript; charset=utf-8",
        text,
    }
}

const fn style(name: &'static str, text: &'static str) -> File {
    File {
        name,
        kind: "text/css; charset=utf-8",
        text,
    }
}

const fn notice(name: &'static str, text: &'static str) -> File {
    File {
        name,
        kind: "text/plain; charset=utf-8",
        text,
    }
}

/// All files except the page itself.
pub const FILES: [File; 46] = [
    script("account.js", include_str!("page/account.js")),
    script("api.js", include_str!("page/api.js")),
    script("approval.js", include_str!("page/approval.js")),
    script("attention.js", include_str!("page/attention.js")),
    script("audit.js", include_str!("page/audit.js")),
    style("console.css", include_str!("page/console.css")),
    script("file-choice.js", include_str!("page/file-choice.js")),
    script("format.js", include_str!("page/format.js")),
    script("groups.js", include_str!("page/groups.js")),
    script("keys.js", include_str!("page/keys.js")),
    script("list-file.js", include_str!("page/list-file.js")),
    script("login.js", include_str!("page/login.js")),
    script("main.js", include_str!("page/main.js")),
    script("messages.js", include_str!("page/messages.js")),
    script("money.js", include_str!("page/money.js")),
    script("paged.js", include_str!("page/paged.js")),
    script("people.js", include_str!("page/people.js")),
    script("plot.js", include_str!("page/plot.js")),
    script("preact.js", include_str!("page/preact.js")),
    script("recipients.js", include_str!("page/recipients.js")),
    script("resend.js", include_str!("page/resend.js")),
    script("router.js", include_str!("page/router.js")),
    script(
        "schedule-actions.js",
        include_str!("page/schedule-actions.js"),
    ),
    script("schedule.js", include_str!("page/schedule.js")),
    script("schedules.js", include_str!("page/schedules.js")),
    script("second-factor.js", include_str!("page/second-factor.js")),
    script("send-check.js", include_str!("page/send-check.js")),
    script("send-draft.js", include_str!("page/send-draft.js")),
    script("send-form.js", include_str!("page/send-form.js")),
    script("send-times.js", include_str!("page/send-times.js")),
    script("send.js", include_str!("page/send.js")),
    script("senders.js", include_str!("page/senders.js")),
    script("sms-text.js", include_str!("page/sms-text.js")),
    script("spreadsheet.js", include_str!("page/spreadsheet.js")),
    script("suppressions.js", include_str!("page/suppressions.js")),
    script("system.js", include_str!("page/system.js")),
    script("text-editor.js", include_str!("page/text-editor.js")),
    script("texts.js", include_str!("page/texts.js")),
    notice("third-party.txt", include_str!("page/third-party.txt")),
    script("ui.js", include_str!("page/ui.js")),
    script("upload.js", include_str!("page/upload.js")),
    style("uplot.css", include_str!("page/uplot.css")),
    script("uplot.js", include_str!("page/uplot.js")),
    script("webhooks.js", include_str!("page/webhooks.js")),
    script("zones.js", include_str!("page/zones.js")),
    notice(
        "license-apache.txt",
        include_str!("../../../../../LICENSE-APACHE"),
    ),
];
