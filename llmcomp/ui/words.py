"""Every word the page says, in three languages: one table a language, the same keys in all.

In: a key and what is to be filled in. Out: a sentence, with numbers as the language writes them.
The words of the linked view itself stand beside its code in ``js/``. Knows nothing of gradio.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from llmcomp.bill import scaled_bytes

__all__ = ["LANGUAGES", "WORDS", "Words", "in_browser"]

LANGUAGES = {"en": "EN", "ru": "RU", "zh": "中文"}
"""Names of the languages as the switch shows them."""

_EN = {
    # head and tabs
    "title": "llmcomp: text as one number",
    "tagline": "This sentence is one number between 0 and 1.",
    "language": "Language",
    "skip": "Skip to the picture",
    "theme_dark": "Dark",
    "theme_light": "Light",
    "tab_compress": "Compress",
    "tab_decompress": "Decompress",
    "tab_steer": "Steer",
    # what is asked
    "your_text": "Your text",
    "placeholder": "Type or paste any text, in any language …",
    "a_file": "a file",
    "or_file": "Or a file instead of the text",
    "examples": "Or one of these",
    "compress": "Compress",
    "stop": "Stop",
    "run": "Run",
    "download_steer": "Download the prompt (.steer)",
    "download_steered": "Download the smallest steered file",
    "download_blob": "Download the .llmc file",
    "settings": "Settings: {model} model, {preset}, steering {steer}",
    "model": "Model",
    "model_info": "The same file decodes on every machine that has the model.",
    "preset": "Preset",
    "preset_info": "fast cuts the text into many lanes, small into few: slower, smaller.",
    "steering": "Steering: in front of the text",
    "steering_info": "Its bits are in the file. On a short text it seldom pays; auto keeps the smallest.",
    "string": "String",
    "virtual_tokens": "Virtual tokens",
    "epochs": "Epochs of training",
    "epochs_info": "Bytes of text × epochs: at most {limit:,}.",
    "seed": "Seed",
    "hyper_prior": "Hyper-prior",
    "levels": "Levels of the quantiser",
    "steer_file": "A .steer file",
    "model_not_here": "not here",
    "privacy": "At most {input_bytes:,} bytes. Files are deleted from the server within an hour; nothing is kept "
    "or counted.",
    # chips
    "chip_surprise": "a surprise at the end",
    "chip_prose": "English prose",
    "chip_russian": "Russian classic",
    "chip_chinese": "Chinese classic",
    "chip_python": "Python",
    "chip_log": "JSON log",
    "chip_line": "one line, again and again",
    "chip_random": "random bytes",
    "chip_own": "written by the model",
    # decompress
    "llmc_file": "A .llmc file",
    "or_paste": "Or paste a link or base64",
    "pasted": "base64, or a link that ends in #z=…",
    "decode": "Decode",
    "says": "What it says",
    "download_bytes": "Download the bytes",
    "binary": "binary, {n:,} bytes",
    # status
    "starting": "Starting …",
    "stopped": "Stopped. Nothing was written.",
    "loading_training": "Preparing the training …",
    "loading_model": "Making the model ready …",
    "waiting_for_gpu": "Waiting for the GPU …",
    "stage_encode": "Encoding: {done:,} of {total:,} bytes",
    "stage_verify": "Checking that it decodes: {done:,} of {total:,} bytes",
    "stage_decode": "Decoding: {done:,} of {total:,} bytes",
    "per_second": "{n:,} bytes/s",
    "left": "about {time} left",
    "moment": "less than a second",
    "seconds": "{n:.0f} s",
    "minutes": "{n:.0f} min",
    "finished": "{raw:,} bytes → {size:,} bytes: rate {rate:.3f}, {bits:.2f} bits per byte, in {time}.",
    "stored": "{raw:,} bytes → {size:,} bytes: rate {rate:.3f}, {bits:.2f} bits per byte. "
    "A stored result of {model}; press Compress to make it again.",
    "checked": "Decoded again to check: the same bytes.",
    "decoded": "{size:,} bytes → {raw:,} bytes in {time}, model {model}. Both checks passed: the "
    "CRC-32 of the file (nothing damaged) and the CRC-32 of the content (nothing decoded "
    "differently).",
    "decoded_binary": "{size:,} bytes → {raw:,} bytes of binary data in {time}, model {model}. "
    "Both checks passed: the CRC-32 of the file (nothing damaged) and the CRC-32 of the content "
    "(nothing decoded differently).",
    "failed_title": "That did not work",
    "fault_title": "Our fault",
    "fault": "Something unexpected happened; it was logged as {reference}.",
    # what cannot be worked on
    "nothing_to_compress": "nothing to compress yet: type some text or drop a file",
    "too_many_bytes": "{n:,} bytes are too many for this page, which takes at most {limit:,}: use the command line for more",
    "half_character": "the text holds half a character at position {n}: remove it, or drop the text as a file",
    "nothing_to_decode": "nothing to decode yet: drop a .llmc file, or paste a link or base64",
    "not_base64": "this is not base64: paste the text copied under a compressed file, or drop the .llmc file itself",
    "file_too_large": "the file has {n:,} bytes; this page takes at most {limit:,}",
    "too_long_to_decode": "the file holds {n:,} bytes; this page decodes at most {limit:,}: use the command line for more",
    "too_much_training": "the training would go through {n:,} bytes; this page allows {limit:,}: take fewer epochs or a shorter text, or the command line",
    "picture_gone": "this picture is no longer kept here: compress or decode the text again",
    "no_prompt_yet": "there is no prompt yet: press Run to train one",
    "nothing_to_sweep": "there is nothing to sweep yet: press Run first",
    "no_prior": "no hyper-prior is chosen: a trained prompt needs one to be coded",
    "no_string": "the string to steer with is empty: type one, or choose another steering",
    "no_steer_file": "there is no .steer file yet: drop one",
    "error: FormatError": "{message}",
    "error: VersionError": "{message}",
    "error: DamagedError": "{message}",
    "error: MismatchError": "{message}",
    "error: ModelError": "{message}",
    # remarks under the picture
    "remark_nothing": "The model was not asked about these bytes: even xz cannot shrink them, so "
    "they are stored. There is no interval to draw; the bill below still holds.",
    "remark_hub": "A Hub model did this: its probabilities differ in the last digits from machine "
    "to machine, so its steps are not drawn. The embedded and the nano model are; the bill below "
    "holds for all.",
    "remark_xz": "xz needs fewer bytes here, so the file holds that; drawn is what the model would "
    "write.",
    "remark_stored": "The model would make this longer, so the file holds the bytes as they are.",
    "remark_lanes": "The text was cut into {n} lanes; the first is drawn.",
    "remark_note": "{note}",
    # bill and race
    "bill_title": "The bill: every bit of the file",
    "bill_part": "part",
    "bill_bits": "bits",
    "bill_bytes": "bytes",
    "bill_share": "share",
    "bill_total": "the file",
    "bill: header": "header",
    "bill: steering": "steering",
    "bill: steering, coded prompt": "steering, coded prompt",
    "bill: names and sizes of files": "names and sizes of files",
    "bill: lengths": "lengths",
    "bill: checksums": "checksums",
    "bill: text, ideal under the model": "text, ideal under the model",
    "bill: online help": "online help",
    "bill: agreement between machines": "agreement between machines",
    "bill: coder above the ideal": "coder above the ideal",
    "bill: rounding to whole bytes": "rounding to whole bytes",
    "bill: text kept as xz": "text kept as xz",
    "bill: text kept as it came": "text kept as it came",
    "race_title": "The same bytes elsewhere",
    "race_compressor": "compressor",
    "race_whole": "Whole files, headers included.",
    "race: raw": "as it is",
    "race: llmc": "llmcomp",
    "race: alone": "its model alone",
    "no_model": "This file needs no model to be decoded.",
    "with_model": "The model is not in the file: whoever decodes has it, as they have gzip. The "
    "adjusted rate counts it: {nominal} at 2 bytes a parameter, {files} with the model's files "
    "({size}).",
    "even": "Even so it would beat xz from {length} of such text on.",
    # steer
    "again": "Measure again with this prompt",
    "sweep": "Sweep the levels",
    "steer_intro": "Does advice pay for itself? A string, noise, or vectors trained on your text can stand in front of it and make the model guess better. But whoever decodes needs them too, so they are in the file and in its bill.",
    "steer_first": "Make a prediction, press Run, and here will stand:",
    "steer_outline_1": "the loss of the training, live, beside the loss without a prompt;",
    "steer_outline_2": "the bill: every bit of every choice, text, prompt, metadata and envelope;",
    "steer_outline_3": "how long a text must be for each choice to pay;",
    "steer_outline_4": "a table of everything, and what auto would choose;",
    "steer_outline_5": "bits of the prompt against its error, and what that does to the text.",
    "steer_limit": "At most {limit:,} bytes of text. What is trained is yours alone and is forgotten within an hour.",
    "steer_until": "Until then: system 000's experiment, made again with this model",
    "predict": "Predict: will a trained prompt make this file smaller, all bits counted?",
    "predict: yes": "yes",
    "predict: no": "no",
    "predict: only for long texts": "only for long texts",
    "priors": "Hyper-priors of the trained prompt",
    "steer_more": "More: model, levels, string, a .steer file …",
    "learning_rate": "Learning rate",
    "string_or_none": "String; empty for none",
    "steer_file_used": "A .steer file, in place of training",
    "bills_title": "The bill of every choice",
    "scale_true": "to scale",
    "scale_closer": "look closer",
    "even_title": "How long must a text be?",
    "rate_title": "Bits of the prompt against its error, and what that does",
    "half_bin": "also with system 000's half-bin error",
    "work": "{n:,} bytes × {epochs} epochs = {total:,} bytes of training. Then the text is coded {ways} times.",
    "work_too_much": "{n:,} bytes × {epochs} epochs = {total:,} bytes of training; at most {limit:,} are allowed. Then the text is coded {ways} times.",
    "work_file": "{n:,} bytes; the .steer file is used and nothing trained. Then the text is coded {ways} times.",
    "training": "Training: epoch {epoch:.1f} of {epochs}",
    "training_part": "training part {loss:.3f} bits per byte, {plain:.3f} without a prompt",
    "held_out_part": "held-out part {loss:.3f} bits per byte, {plain:.3f} without a prompt",
    "stopped_empty": "Stopped. No prompt was trained yet.",
    "stopped_kept": "Stopped. The best prompt so far is kept: download it, or press Measure again.",
    "measured": "{n} ways measured. Smallest file: {name}, {size} bytes.",
    "measured_steered": "{n} ways measured. Smallest file: {name}, {size} bytes; without steering {plain}.",
    "answer": "The measured answer: {answer}.",
    "answer_right": "You said {answer}, and so it is.",
    "answer_wrong": "You said {said}; the measured answer is: {answer}.",
    "verdict_larger": "With all bits counted the best trained prompt ({name}) makes this file {bits:,.0f} bits larger: the prompt weighs {prompt:,.0f} bits and {saving}.",
    "verdict_smaller": "With all bits counted the best trained prompt ({name}) makes this file {bits:,.0f} bits smaller: the prompt weighs {prompt:,.0f} bits and {saving}.",
    "verdict_pays": "If the saving kept up, a prompt would pay from {length} of such text on.",
    "saves": "saves {n:,.0f} bits of text",
    "lengthens": "makes the text {n:,.0f} bits longer",
    "saves_nothing": "saves no bit of text",
    "auto_none": "Of these, auto keeps {name} because its file is the smallest, {size} bytes: {next} comes next; it {saving} and costs {cost:,.0f} to describe.",
    "auto_kept": "Of these, auto keeps {name} because its file is the smallest, {size} bytes: it {saving} and costs {cost:,.0f} to describe.",
    "all_measured": "All that was measured, in bits",
    "column_what": "in front of the text",
    "column_text": "text",
    "column_prompt": "prompt",
    "column_metadata": "metadata",
    "column_envelope": "envelope",
    "column_total": "total bits",
    "column_change": "against none",
    "column_coordinate": "bits per coordinate",
    "column_entropy": "entropy",
    "column_mse": "MSE",
    "column_even": "break-even",
    "published": "200 vectors, trained for 500 epochs on the first 50,000 bytes of enwik8, the very text they then help to code. The text falls from {plain:,.0f} bits to {text:,.0f}; the vectors take {vectors:,.0f}. Published was the fall alone. If it kept up, a text of {length} would pay.",
    # the figures of the Steer page, and what says them in words
    "way: none": "none",
    "way: text": "string",
    "way: random": "random",
    "half_bin_way": "{way}, half-bin error",
    "axis_file": "bits of the file",
    "axis_length": "length of the text",
    "axis_rate": "bits per byte",
    "axis_error": "squared error",
    "axis_text": "bits of text",
    "hover_bill": "{way}: {part} {bits} bits",
    "hover_even": "{way}: {rate} bits/byte\nat {length} bytes,\nif the saving kept up",
    "hover_measured": "{way}: {rate} bits/byte, measured",
    "hover_error": "{way}, {levels} levels:\n{bits} bits per coordinate,\nMSE {error}",
    "hover_text": "{way}, {levels} levels:\n{bits} bits per coordinate,\ntext {text} bits",
    "bills_said": "Whole files, every bit counted: the text, the coded prompt, what says how to read it (metadata), header and checksums (envelope). {ways}.",
    "bills_plain": "{way}: {bits:,.0f} bits",
    "bills_way": "{way}: {bits:,.0f} ({change:+.1f} %)",
    "bills_cut": "The axis is cut {percent:.0f} % to either side of none.",
    "even_said": "Measured at {n:,} bytes only (markers); dashed is what would be if the saving kept up, with the prompt paid once.",
    "even_ways": "{ways}.",
    "even_pays": "{way} pays from {length} on",
    "even_never": "{way} saves nothing, so it never pays",
    "even_hollow": "Hollow: measured on the very text the prompt was trained on, which flatters it.",
    "rate_none": "No trained prompt was measured yet.",
    "rate_said": "Each point is a prompt that was really coded, {n} in all. Fewer levels are cheaper and coarser; beyond some point the text no longer gets shorter. The smallest file of these: {way}, {levels} levels, {bits:.2f} bits per coordinate, squared error {error:.3g}, text {text:,.0f} bits, without a prompt {plain:,.0f}.",
    "rate_hollow": "Hollow: system 000's half-bin error; every value comes out half a step too high, at about four times the squared error.",
    "listed": "{first}; {second}",
    "length: bytes": "{n} bytes",
    "length: kB": "{n} kB",
    "length: MB": "{n} MB",
    "length: GB": "{n} GB",
    "length: TB": "{n} TB",
    "never": "never",
    # sharing
    "share_title": "Send it as a link",
    "share_what": "The link is the file: whoever opens it decodes it, and no server keeps it.",
    "share_long": "{n:,} bytes are too long for a link: send the file, or copy it as base64.",
    "share_file": "{n:,} bytes are too long to be copied as text: send the file.",
    "copy_link": "Copy the link",
    "copy_base64": "Copy as base64",
    "copied": "Copied",
    "not_copied": "Select it and copy by hand",
    # history
    "history_title": "Your files",
    "history_what": "Kept in this browser and nowhere else. Files above {limit:,} bytes are not.",
    "history_empty": "What you compress will be listed here.",
    "history_sizes": "{raw:,} → {size:,} bytes",
    "history_open": "Decode",
    "history_save": "Download",
    "history_clear": "Forget them all",
    # about
    "about": "About: privacy, limits, sources, interfaces",
    "about_text": "**Privacy.** A text goes to this server to be compressed and is deleted within "
    "an hour. There are no cookies, no analytics, no fonts or scripts from elsewhere. The list of "
    "your files and your choice of language and theme are kept in your browser.\n\n"
    "**Limits.** At most {input_bytes:,} bytes and {seconds:,} s a job; on a Hub model {tokens:,} "
    "tokens and {hub_seconds:,} s. {queue} jobs may wait. The command line takes files of any length."
    "\n\n"
    "**Sources.** Pasco 1976 and Rissanen 1976 found arithmetic coding; Witten, Neal and Cleary "
    "made it known (CACM 1987). That language models compress: "
    "[arXiv:2309.10668](https://arxiv.org/abs/2309.10668). MacKay, *Information theory, inference, "
    "and learning algorithms*, 2003, chapter 6.\n\n"
    "**For programs.** `compress_text` and `decompress_text` are endpoints of this page's API and tools of "
    "its MCP server: see “API” at the foot of the page.",
    "duplicate": "Duplicate this Space",
}

_RU = {
    "title": "llmcomp: текст как одно число",
    "tagline": "Это предложение — одно число между 0 и 1.",
    "language": "Язык",
    "skip": "Перейти к картине",
    "theme_dark": "Тёмная",
    "theme_light": "Светлая",
    "tab_compress": "Сжать",
    "tab_decompress": "Распаковать",
    "tab_steer": "Наведение",
    "your_text": "Ваш текст",
    "placeholder": "Напишите или вставьте любой текст на любом языке …",
    "a_file": "файл",
    "or_file": "Или файл вместо текста",
    "examples": "Или один из этих",
    "compress": "Сжать",
    "stop": "Стоп",
    "run": "Начать",
    "download_steer": "Скачать промпт (.steer)",
    "download_steered": "Скачать наименьший файл с наведением",
    "download_blob": "Скачать файл .llmc",
    "settings": "Настройки: модель {model}, {preset}, наведение {steer}",
    "model": "Модель",
    "model_info": "Файл раскроется на любой машине, где есть эта модель.",
    "preset": "Режим",
    "preset_info": "fast режет текст на много дорожек, small на несколько: дольше, но короче.",
    "steering": "Наведение: что стоит перед текстом",
    "steering_info": "Его биты лежат в файле. В коротком тексте редко окупается; auto берёт меньшее.",
    "string": "Строка",
    "virtual_tokens": "Виртуальные токены",
    "epochs": "Эпохи обучения",
    "epochs_info": "Байты текста × эпохи: не больше {limit:,}.",
    "seed": "Зерно",
    "hyper_prior": "Гиперприор",
    "levels": "Уровни квантователя",
    "steer_file": "Файл .steer",
    "model_not_here": "не здесь",
    "privacy": "Не больше {input_bytes:,} байт. Файлы удаляются с сервера в течение часа; ничего не "
    "хранится и не считается.",
    "chip_surprise": "сюрприз в конце",
    "chip_prose": "английская проза",
    "chip_russian": "русская классика",
    "chip_chinese": "китайская классика",
    "chip_python": "Python",
    "chip_log": "журнал JSON",
    "chip_line": "одна строка снова и снова",
    "chip_random": "случайные байты",
    "chip_own": "написано моделью",
    "llmc_file": "Файл .llmc",
    "or_paste": "Или вставьте ссылку либо base64",
    "pasted": "base64 или ссылка, которая кончается на #z=…",
    "decode": "Раскрыть",
    "says": "Что в нём сказано",
    "download_bytes": "Скачать байты",
    "binary": "двоичные данные, байт: {n:,}",
    "starting": "Начинаем …",
    "stopped": "Остановлено. Ничего не записано.",
    "loading_training": "Готовим обучение …",
    "loading_model": "Готовим модель …",
    "waiting_for_gpu": "Ждём видеокарту …",
    "stage_encode": "Кодирование: {done:,} из {total:,} байт",
    "stage_verify": "Проверка, что файл раскрывается: {done:,} из {total:,} байт",
    "stage_decode": "Раскрытие: {done:,} из {total:,} байт",
    "per_second": "{n:,} байт/с",
    "left": "осталось: {time}",
    "moment": "меньше секунды",
    "seconds": "{n:.0f} с",
    "minutes": "{n:.0f} мин",
    "finished": "{raw:,} → {size:,} байт: доля {rate:.3f}, {bits:.2f} бита на байт. Время: {time}.",
    "stored": "{raw:,} → {size:,} байт: доля {rate:.3f}, {bits:.2f} бита на байт. "
    "Готовый результат модели {model}; нажмите «Сжать», чтобы сделать его заново.",
    "checked": "Раскрыто снова для проверки: те же байты.",
    "decoded": "{size:,} → {raw:,} байт; время: {time}, модель {model}. Обе проверки пройдены: CRC-32 "
    "файла (ничего не повреждено) и CRC-32 содержимого (ничего не раскрыто иначе).",
    "decoded_binary": "{size:,} → {raw:,} байт двоичных данных; время: {time}, модель {model}. Обе "
    "проверки пройдены: CRC-32 файла (ничего не повреждено) и CRC-32 содержимого (ничего не "
    "раскрыто иначе).",
    "failed_title": "Не получилось",
    "fault_title": "Наша ошибка",
    "fault": "Случилось непредвиденное; это записано в журнал под номером {reference}.",
    "nothing_to_compress": "сжимать пока нечего: напишите текст или бросьте сюда файл",
    "too_many_bytes": "{n:,} байт — слишком много для этой страницы, она берёт не больше {limit:,}: для большего есть командная строка",
    "half_character": "в тексте половина символа на месте {n}: уберите её или бросьте текст файлом",
    "nothing_to_decode": "раскрывать пока нечего: бросьте сюда файл .llmc или вставьте ссылку либо base64",
    "not_base64": "это не base64: вставьте текст, скопированный под сжатым файлом, или бросьте сам файл .llmc",
    "file_too_large": "в файле {n:,} байт; эта страница берёт не больше {limit:,}",
    "too_long_to_decode": "в файле сжато {n:,} байт; эта страница раскрывает не больше {limit:,}: для большего есть командная строка",
    "too_much_training": "обучение прошло бы {n:,} байт; эта страница позволяет {limit:,}: возьмите меньше эпох, текст короче или командную строку",
    "picture_gone": "эта картинка здесь больше не хранится: сожмите или распакуйте текст ещё раз",
    "no_prompt_yet": "промпта ещё нет: нажмите «Начать», чтобы его обучить",
    "nothing_to_sweep": "перебирать пока нечего: сначала нажмите «Начать»",
    "no_prior": "не выбран ни один гиперприор: без него обученный промпт не закодировать",
    "no_string": "строка для наведения пуста: напишите её или выберите другое наведение",
    "no_steer_file": "файла .steer ещё нет: бросьте его сюда",
    "error: FormatError": "Это не файл .llmc ({message}).",
    "error: VersionError": "Файл новее этой программы ({message}).",
    "error: DamagedError": "Файл повреждён и потому не раскрыт ({message}).",
    "error: MismatchError": "Файл цел, но числа моделей разошлись ({message}).",
    "error: ModelError": "Нет нужной модели ({message}).",
    "remark_nothing": "Модель об этих байтах не спрашивали: даже xz их не сожмёт, поэтому они "
    "хранятся как есть. Интервала нет, но счёт внизу верен.",
    "remark_hub": "Это сделала модель из Hub: последние знаки её вероятностей на разных машинах "
    "разные, поэтому её шаги не рисуются. Шаги моделей embedded и nano рисуются; счёт внизу верен "
    "для всех.",
    "remark_xz": "Здесь xz короче, и в файле лежит он; нарисовано то, что написала бы модель.",
    "remark_stored": "С моделью вышло бы длиннее, поэтому в файле лежат сами байты.",
    "remark_lanes": "Текст разрезан на дорожки, их {n}; нарисована первая.",
    "remark_note": "{note}",
    "bill_title": "Счёт: каждый бит файла",
    "bill_part": "часть",
    "bill_bits": "биты",
    "bill_bytes": "байты",
    "bill_share": "доля",
    "bill_total": "файл",
    "bill: header": "заголовок",
    "bill: steering": "наведение",
    "bill: steering, coded prompt": "наведение, закодированные векторы",
    "bill: names and sizes of files": "имена и размеры файлов",
    "bill: lengths": "длины",
    "bill: checksums": "контрольные суммы",
    "bill: text, ideal under the model": "текст, идеал для этой модели",
    "bill: online help": "помощь самого текста",
    "bill: agreement between machines": "согласие машин между собой",
    "bill: coder above the ideal": "кодер сверх идеала",
    "bill: rounding to whole bytes": "округление до целых байтов",
    "bill: text kept as xz": "текст, сжатый xz",
    "bill: text kept as it came": "текст как есть",
    "race_title": "Те же байты у других",
    "race_compressor": "чем сжато",
    "race_whole": "Целые файлы вместе с заголовками.",
    "race: raw": "как есть",
    "race: llmc": "llmcomp",
    "race: alone": "только его модель",
    "no_model": "Чтобы раскрыть этот файл, модель не нужна.",
    "with_model": "Модели в файле нет: она есть у того, кто раскрывает, как есть у него gzip. "
    "Доля вместе с моделью: {nominal} при 2 байтах на параметр, {files} с файлами модели "
    "({size}).",
    "even": "И всё же она обгонит xz, начиная с {length} такого текста.",
    "again": "Измерить снова с этим промптом",
    "sweep": "Перебрать уровни",
    "steer_intro": "Окупается ли подсказка? Строка, шум или векторы, обученные на вашем тексте, могут стоять перед ним, чтобы модель угадывала лучше. Но они нужны и тому, кто раскрывает, поэтому лежат в файле и в его счёте.",
    "steer_first": "Сделайте предсказание, нажмите «Начать», и здесь появятся:",
    "steer_outline_1": "потери при обучении, вживую, рядом с потерями без промпта;",
    "steer_outline_2": "счёт: каждый бит каждого варианта, текст, промпт, метаданные и конверт;",
    "steer_outline_3": "какой длины должен быть текст, чтобы вариант окупился;",
    "steer_outline_4": "таблица всего и то, что выбрал бы auto;",
    "steer_outline_5": "биты промпта против его ошибки и что это даёт тексту.",
    "steer_limit": "Не больше {limit:,} байт текста. Обученное принадлежит только вам и забывается в течение часа.",
    "steer_until": "А пока: опыт системы 000, повторённый с этой моделью",
    "predict": "Предскажите: станет ли файл меньше с обученным промптом, если считать все биты?",
    "predict: yes": "да",
    "predict: no": "нет",
    "predict: only for long texts": "только для длинных текстов",
    "priors": "Гиперприоры обученного промпта",
    "steer_more": "Ещё: модель, уровни, строка, файл .steer …",
    "learning_rate": "Скорость обучения",
    "string_or_none": "Строка; пустая — без неё",
    "steer_file_used": "Файл .steer вместо обучения",
    "bills_title": "Счёт каждого варианта",
    "scale_true": "в масштабе",
    "scale_closer": "ближе",
    "even_title": "Какой длины должен быть текст?",
    "rate_title": "Биты промпта против его ошибки и что это даёт",
    "half_bin": "также с ошибкой системы 000 в полшага",
    "work": "{n:,} байт × эпохи ({epochs}) = {total:,} байт обучения. Затем текст кодируется; раз: {ways}.",
    "work_too_much": "{n:,} байт × эпохи ({epochs}) = {total:,} байт обучения; позволено не больше {limit:,}. Затем текст кодируется; раз: {ways}.",
    "work_file": "{n:,} байт; берётся файл .steer, ничего не обучается. Затем текст кодируется; раз: {ways}.",
    "training": "Обучение: эпоха {epoch:.1f} из {epochs}",
    "training_part": "обучающая часть {loss:.3f} бита на байт, без промпта {plain:.3f}",
    "held_out_part": "отложенная часть {loss:.3f} бита на байт, без промпта {plain:.3f}",
    "stopped_empty": "Остановлено. Промпт ещё не обучен.",
    "stopped_kept": "Остановлено. Лучший промпт сохранён: скачайте его или нажмите «Измерить снова».",
    "measured": "Измерено вариантов: {n}. Наименьший файл: «{name}», {size} байт.",
    "measured_steered": "Измерено вариантов: {n}. Наименьший файл: «{name}», {size} байт; без наведения {plain}.",
    "answer": "Ответ измерения: {answer}.",
    "answer_right": "Вы сказали «{answer}», и так и есть.",
    "answer_wrong": "Вы сказали «{said}»; ответ измерения: {answer}.",
    "verdict_larger": "Если считать все биты, с лучшим обученным промптом ({name}) файл длиннее на {bits:,.0f} бит: промпт весит {prompt:,.0f} бит и {saving}.",
    "verdict_smaller": "Если считать все биты, с лучшим обученным промптом ({name}) файл короче на {bits:,.0f} бит: промпт весит {prompt:,.0f} бит и {saving}.",
    "verdict_pays": "Если бы выигрыш сохранялся, промпт окупился бы, начиная с {length} такого текста.",
    "saves": "экономит {n:,.0f} бит текста",
    "lengthens": "удлиняет текст на {n:,.0f} бит",
    "saves_nothing": "не экономит ни бита текста",
    "auto_none": "Из этих вариантов auto берёт «{name}»: его файл наименьший, {size} байт. Следующий — «{next}»: он {saving}, а описать его стоит {cost:,.0f} бит.",
    "auto_kept": "Из этих вариантов auto берёт «{name}»: его файл наименьший, {size} байт; он {saving}, а описать его стоит {cost:,.0f} бит.",
    "all_measured": "Всё измеренное, в битах",
    "column_what": "перед текстом",
    "column_text": "текст",
    "column_prompt": "промпт",
    "column_metadata": "метаданные",
    "column_envelope": "конверт",
    "column_total": "всего бит",
    "column_change": "разница",
    "column_coordinate": "бит на координату",
    "column_entropy": "энтропия",
    "column_mse": "ср. кв. ошибка",
    "column_even": "окупается с",
    "published": "200 векторов, 500 эпох обучения на первых 50 000 байт enwik8, на том самом тексте, который они затем помогают кодировать. Текст сокращается с {plain:,.0f} бит до {text:,.0f}; векторы занимают {vectors:,.0f}. Опубликовано было только сокращение. Если бы оно сохранялось, окупился бы текст длиной {length}.",
    "way: none": "без наведения",
    "way: text": "строка",
    "way: random": "шум",
    "half_bin_way": "{way}, ошибка в полшага",
    "axis_file": "биты файла",
    "axis_length": "длина текста",
    "axis_rate": "бит на байт",
    "axis_error": "ср. кв. ошибка",
    "axis_text": "биты текста",
    "hover_bill": "{way}: {part} {bits} бит",
    "hover_even": "{way}: {rate} бита на байт\nпри длине {length} байт,\nесли бы выигрыш сохранялся",
    "hover_measured": "{way}: {rate} бита на байт, измерено",
    "hover_error": "{way}, уровней {levels}:\n{bits} бита на координату,\nср. кв. ошибка {error}",
    "hover_text": "{way}, уровней {levels}:\n{bits} бита на координату,\nтекст {text} бит",
    "bills_said": "Целые файлы, посчитан каждый бит: текст, закодированный промпт, указания, как его читать (метаданные), заголовок и контрольные суммы (конверт). Размеры файлов — {ways}.",
    "bills_plain": "{way}: {bits:,.0f} бит",
    "bills_way": "{way}: {bits:,.0f} ({change:+.1f} %)",
    "bills_cut": "Ось обрезана: видно по {percent:.0f} % в обе стороны от файла без наведения.",
    "even_said": "Измерено только при длине {n:,} байт (метки); штрихом показано, что было бы, если бы выигрыш сохранялся, а промпт оплачивался один раз.",
    "even_ways": "Итог: {ways}.",
    "even_pays": "{way} окупается с {length}",
    "even_never": "{way} не окупается никогда, потому что ничего не экономит",
    "even_hollow": "Полые метки: измерено на том самом тексте, на котором промпт обучен, а это ему льстит.",
    "rate_none": "Ни один обученный промпт ещё не измерен.",
    "rate_said": "Каждая точка — промпт, который действительно закодирован; всего их {n}. Чем меньше уровней, тем дешевле и грубее; с какого-то места текст уже не становится короче. Наименьший из этих файлов: {way}, уровней {levels}, {bits:.2f} бита на координату, ср. кв. ошибка {error:.3g}, текст {text:,.0f} бит, без промпта {plain:,.0f}.",
    "rate_hollow": "Полые точки: ошибка системы 000 в полшага; каждое значение выше на полшага, а квадрат ошибки больше примерно вчетверо.",
    "listed": "{first}; {second}",
    "length: bytes": "{n} байт",
    "length: kB": "{n} кБ",
    "length: MB": "{n} МБ",
    "length: GB": "{n} ГБ",
    "length: TB": "{n} ТБ",
    "never": "никогда",
    "share_title": "Отправить ссылкой",
    "share_what": "Ссылка и есть файл: кто её откроет, тот его раскроет, и ни один сервер его "
    "не хранит.",
    "share_long": "{n:,} байт — слишком длинно для ссылки: отправьте файл или скопируйте base64.",
    "share_file": "{n:,} байт — слишком длинно, чтобы копировать как текст: отправьте файл.",
    "copy_link": "Скопировать ссылку",
    "copy_base64": "Скопировать base64",
    "copied": "Скопировано",
    "not_copied": "Выделите и скопируйте сами",
    "history_title": "Ваши файлы",
    "history_what": "Хранятся только в этом браузере. Файлы больше {limit:,} байт не хранятся.",
    "history_empty": "Здесь появится то, что вы сожмёте.",
    "history_sizes": "{raw:,} → {size:,} байт",
    "history_open": "Раскрыть",
    "history_save": "Скачать",
    "history_clear": "Забыть все",
    "about": "О странице: приватность, пределы, источники, интерфейсы",
    "about_text": "**Приватность.** Текст уходит на этот сервер, чтобы быть сжатым, и удаляется в "
    "течение часа. Нет ни куки, ни аналитики, ни чужих шрифтов и скриптов. Список ваших файлов, "
    "язык и тема хранятся в вашем браузере.\n\n"
    "**Пределы.** Не больше {input_bytes:,} байт и {seconds:,} с на задание; с моделью из Hub — "
    "{tokens:,} токенов и {hub_seconds:,} с. Ждать могут {queue} заданий. Командная строка берёт "
    "файлы любой длины.\n\n"
    "**Источники.** Арифметическое кодирование нашли Паско и Риссанен в 1976 году; известным его "
    "сделали Уиттен, Нил и Клири (CACM 1987). О том, что языковые модели сжимают: "
    "[arXiv:2309.10668](https://arxiv.org/abs/2309.10668). MacKay, *Information theory, inference, "
    "and learning algorithms*, 2003, глава 6.\n\n"
    "**Для программ.** `compress_text` и `decompress_text` — точки входа API этой страницы и инструменты её "
    "сервера MCP: см. «API» внизу страницы.",
    "duplicate": "Скопировать этот Space",
}

_ZH = {
    "title": "llmcomp：一段文字，一个数",
    "tagline": "这句话是 0 和 1 之间的一个数。",
    "language": "语言",
    "skip": "跳到图形",
    "theme_dark": "深色",
    "theme_light": "浅色",
    "tab_compress": "压缩",
    "tab_decompress": "解压",
    "tab_steer": "引导",
    "your_text": "你的文字",
    "placeholder": "输入或粘贴任意语言的文字……",
    "a_file": "文件",
    "or_file": "或者用文件代替文字",
    "examples": "或者选一段",
    "compress": "压缩",
    "stop": "停止",
    "run": "开始",
    "download_steer": "下载提示 (.steer)",
    "download_steered": "下载最小的引导文件",
    "download_blob": "下载 .llmc 文件",
    "settings": "设置：模型 {model}，{preset}，引导 {steer}",
    "model": "模型",
    "model_info": "任何有这个模型的机器都能解开同一个文件。",
    "preset": "档位",
    "preset_info": "fast 把文字分成许多通道，small 只分几条：更慢，也更小。",
    "steering": "引导：放在文字前面的内容",
    "steering_info": "它的比特也在文件里。短文字很少划算；auto 取最小的。",
    "string": "字符串",
    "virtual_tokens": "虚拟词元",
    "epochs": "训练轮数",
    "epochs_info": "文字字节数 × 轮数：至多 {limit:,}。",
    "seed": "种子",
    "hyper_prior": "超先验",
    "levels": "量化级数",
    "steer_file": ".steer 文件",
    "model_not_here": "这里没有",
    "privacy": "至多 {input_bytes:,} 字节。文件在一小时内从服务器删除；不保存，也不统计。",
    "chip_surprise": "结尾出人意料",
    "chip_prose": "英语散文",
    "chip_russian": "俄语经典",
    "chip_chinese": "中文经典",
    "chip_python": "Python",
    "chip_log": "JSON 日志",
    "chip_line": "同一行反复出现",
    "chip_random": "随机字节",
    "chip_own": "模型自己写的",
    "llmc_file": ".llmc 文件",
    "or_paste": "或者粘贴链接或 base64",
    "pasted": "base64，或以 #z=… 结尾的链接",
    "decode": "解压",
    "says": "内容",
    "download_bytes": "下载字节",
    "binary": "二进制数据，{n:,} 字节",
    "starting": "开始……",
    "stopped": "已停止。没有写入任何内容。",
    "loading_training": "正在准备训练……",
    "loading_model": "正在准备模型……",
    "waiting_for_gpu": "正在等待 GPU……",
    "stage_encode": "编码：{done:,} / {total:,} 字节",
    "stage_verify": "检验能否解开：{done:,} / {total:,} 字节",
    "stage_decode": "解码：{done:,} / {total:,} 字节",
    "per_second": "每秒 {n:,} 字节",
    "left": "约剩 {time}",
    "moment": "不到一秒",
    "seconds": "{n:.0f} 秒",
    "minutes": "{n:.0f} 分钟",
    "finished": "{raw:,} 字节 → {size:,} 字节：压缩率 {rate:.3f}，每字节 {bits:.2f} 比特，用时 {time}。",
    "stored": "{raw:,} 字节 → {size:,} 字节：压缩率 {rate:.3f}，每字节 {bits:.2f} 比特。"
    "这是 {model} 的存档结果；按“压缩”可以重做。",
    "checked": "已再次解开检验：字节相同。",
    "decoded": "{size:,} 字节 → {raw:,} 字节，用时 {time}，模型 {model}。两项检验都通过：文件的 "
    "CRC-32（没有损坏）和内容的 CRC-32（解码一致）。",
    "decoded_binary": "{size:,} 字节 → {raw:,} 字节二进制数据，用时 {time}，模型 {model}。"
    "两项检验都通过：文件的 CRC-32（没有损坏）和内容的 CRC-32（解码一致）。",
    "failed_title": "没有成功",
    "fault_title": "是我们的错",
    "fault": "发生了意外情况；已记入日志，编号 {reference}。",
    "nothing_to_compress": "还没有要压缩的内容：请输入文字或放入文件",
    "too_many_bytes": "{n:,} 字节对本页来说太多，至多 {limit:,}：更多请用命令行",
    "half_character": "文字在位置 {n} 有半个字符：请删去，或把文字作为文件放入",
    "nothing_to_decode": "还没有要解压的内容：请放入 .llmc 文件，或粘贴链接或 base64",
    "not_base64": "这不是 base64：请粘贴在压缩结果下方复制的文本，或放入 .llmc 文件本身",
    "file_too_large": "文件有 {n:,} 字节；本页至多接受 {limit:,}",
    "too_long_to_decode": "文件里有 {n:,} 字节；本页至多解开 {limit:,}：更多请用命令行",
    "too_much_training": "训练要经过 {n:,} 字节；本页允许 {limit:,}：请减少轮数、缩短文字，或用命令行",
    "picture_gone": "这幅图已不再保存：请重新压缩或解压文本",
    "no_prompt_yet": "还没有提示：请按“开始”训练一个",
    "nothing_to_sweep": "还没有可扫描的：请先按“开始”",
    "no_prior": "没有选择超先验：训练出的提示需要它来编码",
    "no_string": "用于引导的字符串是空的：请输入，或选择别的引导",
    "no_steer_file": "还没有 .steer 文件：请放入一个",
    "error: FormatError": "这不是 .llmc 文件（{message}）。",
    "error: VersionError": "文件比本程序新（{message}）。",
    "error: DamagedError": "文件已损坏，因此没有解开（{message}）。",
    "error: MismatchError": "文件完好，但模型的数不一致（{message}）。",
    "error: ModelError": "没有所需的模型（{message}）。",
    "remark_nothing": "没有就这些字节询问模型：连 xz 也压不小它们，所以原样保存。没有区间可画；下面的账单依然准确。",
    "remark_hub": "这是 Hub 模型做的：它的概率在不同机器上末几位不同，所以不画它的步骤。embedded 和 nano 会画；下面的账单对所有模型都准确。",
    "remark_xz": "这里 xz 用的字节更少，所以文件里是它；画的是模型会写出的结果。",
    "remark_stored": "用模型反而更长，所以文件里是原来的字节。",
    "remark_lanes": "文字被分成 {n} 条通道；画的是第一条。",
    "remark_note": "{note}",
    "bill_title": "账单：文件的每一个比特",
    "bill_part": "部分",
    "bill_bits": "比特",
    "bill_bytes": "字节",
    "bill_share": "占比",
    "bill_total": "整个文件",
    "bill: header": "文件头",
    "bill: steering": "引导",
    "bill: steering, coded prompt": "引导：编码后的向量",
    "bill: names and sizes of files": "文件名和大小",
    "bill: lengths": "长度",
    "bill: checksums": "校验和",
    "bill: text, ideal under the model": "文字，该模型下的理想值",
    "bill: online help": "文字自身的帮助",
    "bill: agreement between machines": "机器之间的一致",
    "bill: coder above the ideal": "编码器超出理想的部分",
    "bill: rounding to whole bytes": "补齐到整字节",
    "bill: text kept as xz": "以 xz 保存的文字",
    "bill: text kept as it came": "原样保存的文字",
    "race_title": "同样的字节，别家的结果",
    "race_compressor": "压缩器",
    "race_whole": "整个文件，含文件头。",
    "race: raw": "原样",
    "race: llmc": "llmcomp",
    "race: alone": "仅用其模型",
    "no_model": "解开这个文件不需要模型。",
    "with_model": "模型不在文件里：解压的人有它，就像有 gzip 一样。计入模型的压缩率：按每个参数 2 "
    "字节是 {nominal}，按模型文件（{size}）是 {files}。",
    "even": "即便如此，这样的文字从 {length} 起也会胜过 xz。",
    "again": "用这个提示再测一次",
    "sweep": "扫描级数",
    "steer_intro": "建议划得来吗？一个字符串、噪声，或在你的文字上训练出的向量，可以放在文字前面，让模型猜得更准。但解压的人也需要它们，所以它们在文件里，也在账单里。",
    "steer_first": "先作预测，再按“开始”，这里会出现：",
    "steer_outline_1": "训练损失的实时曲线，旁边是没有提示时的损失；",
    "steer_outline_2": "账单：每种选择的每一个比特，文字、提示、元数据和封装；",
    "steer_outline_3": "每种选择要多长的文字才划算；",
    "steer_outline_4": "全部结果的表格，以及 auto 会选什么；",
    "steer_outline_5": "提示的比特与误差的关系，以及对文字的影响。",
    "steer_limit": "至多 {limit:,} 字节文字。训练的结果只属于你，一小时内就被忘掉。",
    "steer_until": "在此之前：用这个模型重做的系统 000 实验",
    "predict": "预测：计入所有比特，训练出的提示会让这个文件变小吗？",
    "predict: yes": "会",
    "predict: no": "不会",
    "predict: only for long texts": "只有长文字会",
    "priors": "训练提示的超先验",
    "steer_more": "更多：模型、级数、字符串、.steer 文件……",
    "learning_rate": "学习率",
    "string_or_none": "字符串；留空表示不用",
    "steer_file_used": "用 .steer 文件代替训练",
    "bills_title": "每种选择的账单",
    "scale_true": "按比例",
    "scale_closer": "放大看",
    "even_title": "文字要多长才划算？",
    "rate_title": "提示的比特与误差，以及它的作用",
    "half_bin": "也包括系统 000 的半格误差",
    "work": "{n:,} 字节 × {epochs} 轮 = {total:,} 字节的训练。然后文字被编码 {ways} 次。",
    "work_too_much": "{n:,} 字节 × {epochs} 轮 = {total:,} 字节的训练；至多允许 {limit:,}。然后文字被编码 {ways} 次。",
    "work_file": "{n:,} 字节；使用 .steer 文件，不作训练。然后文字被编码 {ways} 次。",
    "training": "训练：第 {epoch:.1f} 轮，共 {epochs} 轮",
    "training_part": "训练部分每字节 {loss:.3f} 比特，无提示 {plain:.3f}",
    "held_out_part": "留出部分每字节 {loss:.3f} 比特，无提示 {plain:.3f}",
    "stopped_empty": "已停止。还没有训练出提示。",
    "stopped_kept": "已停止。目前最好的提示已保留：可以下载，或按“再测一次”。",
    "measured": "测了 {n} 种方式。最小的文件：“{name}”，{size} 字节。",
    "measured_steered": "测了 {n} 种方式。最小的文件：“{name}”，{size} 字节；不引导是 {plain}。",
    "answer": "测得的答案：{answer}。",
    "answer_right": "你说“{answer}”，果然如此。",
    "answer_wrong": "你说“{said}”；测得的答案是：{answer}。",
    "verdict_larger": "计入所有比特，最好的训练提示（{name}）使文件大了 {bits:,.0f} 比特：提示重 {prompt:,.0f} 比特，{saving}。",
    "verdict_smaller": "计入所有比特，最好的训练提示（{name}）使文件小了 {bits:,.0f} 比特：提示重 {prompt:,.0f} 比特，{saving}。",
    "verdict_pays": "如果一直这样节省，提示从 {length} 这样的文字起就划算。",
    "saves": "为文字省下 {n:,.0f} 比特",
    "lengthens": "使文字长了 {n:,.0f} 比特",
    "saves_nothing": "没有为文字省下一个比特",
    "auto_none": "其中 auto 选“{name}”，因为它的文件最小，{size} 字节。其次是“{next}”：它{saving}，而描述它要 {cost:,.0f} 比特。",
    "auto_kept": "其中 auto 选“{name}”，因为它的文件最小，{size} 字节：它{saving}，而描述它要 {cost:,.0f} 比特。",
    "all_measured": "所有测量结果，单位比特",
    "column_what": "文字前面的内容",
    "column_text": "文字",
    "column_prompt": "提示",
    "column_metadata": "元数据",
    "column_envelope": "封装",
    "column_total": "总比特",
    "column_change": "相对不引导",
    "column_coordinate": "每坐标比特",
    "column_entropy": "熵",
    "column_mse": "均方误差",
    "column_even": "划算长度",
    "published": "200 个向量，在 enwik8 的前 50,000 字节上训练 500 轮，而它们随后帮助编码的正是这段文字。文字从 {plain:,.0f} 比特降到 {text:,.0f}；向量占 {vectors:,.0f}。当初发表的只有下降的部分。如果一直这样，{length} 的文字才划算。",
    "way: none": "不引导",
    "way: text": "字符串",
    "way: random": "噪声",
    "half_bin_way": "{way}，半格误差",
    "axis_file": "文件的比特数",
    "axis_length": "文字长度",
    "axis_rate": "每字节比特",
    "axis_error": "均方误差",
    "axis_text": "文字的比特数",
    "hover_bill": "{way}：{part} {bits} 比特",
    "hover_even": "{way}：每字节 {rate} 比特\n（{length} 字节的文字，如果一直这样节省）",
    "hover_measured": "{way}：每字节 {rate} 比特，实测",
    "hover_error": "{way}，{levels} 级：\n每坐标 {bits} 比特，\n均方误差 {error}",
    "hover_text": "{way}，{levels} 级：\n每坐标 {bits} 比特，\n文字 {text} 比特",
    "bills_said": "整个文件，每一个比特都计入：文字、编码后的提示、说明怎样读它的元数据，以及文件头和校验和（封装）。{ways}。",
    "bills_plain": "{way}：{bits:,.0f} 比特",
    "bills_way": "{way}：{bits:,.0f}（{change:+.1f} %）",
    "bills_cut": "坐标轴只取不引导的文件两侧各 {percent:.0f} %。",
    "even_said": "只在 {n:,} 字节处测量（标记）；虚线表示如果一直这样节省、而提示只付一次会怎样。",
    "even_ways": "{ways}。",
    "even_pays": "{way}：从 {length} 起划算",
    "even_never": "{way}：什么也没有省下，永远不划算",
    "even_hollow": "空心：在训练提示所用的那段文字上测得，结果偏好。",
    "rate_none": "还没有测过训练出的提示。",
    "rate_said": "每个点都是一个真正编码过的提示，共 {n} 个。级数越少越便宜，也越粗；过了某一点，文字就不再变短。其中最小的文件：{way}，{levels} 级，每坐标 {bits:.2f} 比特，均方误差 {error:.3g}，文字 {text:,.0f} 比特，无提示 {plain:,.0f}。",
    "rate_hollow": "空心：系统 000 的半格误差；每个值都高出半格，均方误差约为四倍。",
    "listed": "{first}；{second}",
    "length: bytes": "{n} 字节",
    "length: kB": "{n} kB",
    "length: MB": "{n} MB",
    "length: GB": "{n} GB",
    "length: TB": "{n} TB",
    "never": "永远不",
    "share_title": "用链接发送",
    "share_what": "链接就是文件：谁打开，谁就能解开，没有服务器保存它。",
    "share_long": "{n:,} 字节对链接来说太长：请发送文件，或复制 base64。",
    "share_file": "{n:,} 字节太长，不便作为文本复制：请发送文件。",
    "copy_link": "复制链接",
    "copy_base64": "复制 base64",
    "copied": "已复制",
    "not_copied": "请选中后手动复制",
    "history_title": "你的文件",
    "history_what": "只保存在这个浏览器里。超过 {limit:,} 字节的不保存。",
    "history_empty": "你压缩的内容会列在这里。",
    "history_sizes": "{raw:,} → {size:,} 字节",
    "history_open": "解压",
    "history_save": "下载",
    "history_clear": "全部忘掉",
    "about": "关于：隐私、限制、来源、接口",
    "about_text": "**隐私。** 文字会发送到这台服务器进行压缩，并在一小时内删除。没有 cookie，没有统计，"
    "也没有来自别处的字体和脚本。文件列表、语言和主题都保存在你的浏览器里。\n\n"
    "**限制。** 每项任务至多 {input_bytes:,} 字节、{seconds:,} 秒；用 Hub 模型至多 {tokens:,} 个词元、"
    "{hub_seconds:,} 秒。最多 {queue} 项任务排队。命令行可以处理任意长的文件。\n\n"
    "**来源。** 算术编码由 Pasco 和 Rissanen 在 1976 年提出，Witten、Neal、Cleary 使它广为人知"
    "（CACM 1987）。语言模型即压缩："
    "[arXiv:2309.10668](https://arxiv.org/abs/2309.10668)。MacKay, *Information theory, inference, "
    "and learning algorithms*, 2003, 第 6 章。\n\n"
    "**给程序。** `compress_text` 和 `decompress_text` 是本页 API 的接口，也是其 MCP 服务器的工具：见页脚的 "
    "“API”。",
    "duplicate": "复制这个 Space",
}

WORDS: Mapping[str, Mapping[str, str]] = {"en": _EN, "ru": _RU, "zh": _ZH}

_BROWSER = ("skip", "tagline", "theme_", "share_", "copy_", "copied", "not_copied", "history_")
"""Beginnings of the keys that the page's own script needs."""

_SEPARATORS = {"ru": ",\u00a0"}  # a space that never breaks, as browsers write it
_ENGLISH_SEPARATORS = ".,"


class Words:
    """One language's words.

    >>> Words("en")("stage_encode", done=500, total=2000)
    'Encoding: 500 of 2,000 bytes'
    >>> Words("tlh").language
    'en'
    """

    def __init__(self, language: object) -> None:
        self.language = language if isinstance(language, str) and language in WORDS else "en"
        self._table = WORDS[self.language]

    @property
    def separators(self) -> str:
        """The decimal point, then what parts thousands."""
        return _SEPARATORS.get(self.language, _ENGLISH_SEPARATORS)

    def __call__(self, key: str, **values: Any) -> str:
        """Says one sentence; numbers are written as ``{name:,}`` and the like.

        Raises:
            KeyError: if there is no such key, or a value is missing.
        """
        return self._table[key].format(**{
            name: self._local(value) for name, value in values.items()
        })

    def get(self, key: str, otherwise: str) -> str:
        """Says one sentence if there is such a key."""
        return self._table.get(key, otherwise)

    def number(self, value: float, spec: str = ",") -> str:
        r"""Writes a number as the language does.

        >>> Words("ru").number(1234.5, ",.1f") == "1\u00a0234,5"
        True
        """
        return format(value, spec).translate(str.maketrans(_ENGLISH_SEPARATORS, self.separators))

    def length(self, n_bytes: float) -> str:
        """Says a length of bytes with three digits.

        >>> Words("en").length(2_912_345.0), Words("ru").length(2_912_345.0)
        ('2.91 MB', '2,91 МБ')
        """
        if math.isinf(n_bytes):
            return self("never")
        count, spec, unit = scaled_bytes(n_bytes)
        return self(f"length: {unit}", n=self.number(count, spec))

    def listed(self, items: Sequence[str]) -> str:
        """Says several things, at least one, after each other.

        >>> Words("en").listed(["one", "two"])
        'one; two'
        """
        said, *others = items
        for item in others:
            said = self("listed", first=said, second=item)
        return said

    def _local(self, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return value
        return _Number(self, value)


class _Number:
    """A number inside a sentence, written by the language's rules."""

    def __init__(self, words: Words, value: float) -> None:
        self._words = words
        self._value = value

    def __format__(self, spec: str) -> str:
        return self._words.number(self._value, spec)


def in_browser() -> dict[str, dict[str, str]]:
    """Returns the words that the page's own script says, by language."""
    return {
        language: {key: text for key, text in table.items() if key.startswith(_BROWSER)}
        for language, table in WORDS.items()
    }
