#!/usr/bin/perl
# The web page: nothing in it makes HTML or code of texts, nothing comes from elsewhere, and it stays small.
use v5.36;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

my @files = files('src/ui/*');
my %text  = map { $_ => slurp($_) } @files;
cmp_ok(scalar @files, '>', 5, 'there is a page');
my $bytes = 0;
$bytes += length for values %text;
cmp_ok($bytes, '<', 150 * 1024, "all of it together is small: $bytes bytes");

# nginx serves what has such a name, and the server copies only that (src/process/server/ui_files.c).
none([ grep { !m{^src/ui/[a-z_-]+\.(html|js|css|svg)\z} } @files ], 'names');

sub found ($pattern, @in) {
    return [ map { my $file = $_; my $n = 0; map { $n++; /$pattern/ ? "$file:$n" : () } split /\n/, $text{$file} } sort @in ];
}

my @scripts = grep { /\.js$/ } @files;
none(found(qr/\b(?:innerHTML|outerHTML|insertAdjacentHTML|setHTMLUnsafe|parseHTMLUnsafe|createContextualFragment|srcdoc|DOMParser|XSLTProcessor)\b/, @files), 'no HTML is made of text');
none(found(qr/\bdocument\s*\.\s*write|\beval\b|\bnew\s+Function\b|\bFunction\s*\(|\bset(?:Timeout|Interval)\s*\(\s*['"`]|\bimportScripts\b/, @files), 'no code is made of text');
none(found(qr/javascript:|data:text|vbscript:/i, @files), 'no URL is code');
none(found(qr/\son\w+\s*=\s*["']/i, grep { /\.(html|svg)$/ } @files), 'no handler in HTML');
none(found(qr/\.on[a-z]+\s*=[^=>]|setAttribute\(\s*['"`]on/, @scripts), 'handlers are functions');
none(found(qr/<style|\sstyle\s*=|setAttribute\(\s*['"`]style|cssText/i, grep { !/\.css$/ } @files), 'no style outside of the style sheet');
none(found(qr{<script(?![^>]*\ssrc="_ui/[a-z_-]+\.js")}, grep { /\.html$/ } @files), 'each script is a file of ours');
# The name of SVG's elements is no address.
none(found(qr{(?:https?:)?//(?!www\.w3\.org/2000/svg)[a-z0-9.-]+\.[a-z]}i, @files), 'nothing comes from elsewhere');
none(found(qr/url\(|\@import/, grep { /\.css$/ } @files), '... and no picture or font');

# An address that is given to a link is checked in dom.js, and is set nowhere else, except for downloads.
none([ grep { !m{^src/ui/api\.js:} } @{ found(qr/\.(?:href|src|action|formAction)\s*=[^=]/, @scripts) } ], 'addresses are set by h() alone');

# What isn't shown plainly: the page and util have one list, and it has all that Unicode calls invisible.
sub ranges ($list, $one) {
    my @found;
    while ($list =~ /$one/g) { push @found, sprintf '%x-%x', hex $1, hex($2 // $1) }
    return \@found;
}
my ($hidden)    = $text{'src/ui/dom.js'} =~ m{^const HIDDEN = /(.+)/gu;$}m;
my ($not_plain) = slurp('src/util/utf8_plain.c') =~ /not_plain\[\] = \{(.+?)\};/s;
my $ranges      = ranges($not_plain, qr/\{0x([0-9a-f]+),\s+0x([0-9a-f]+)\}/);
my $one         = qr/\\u\{?([0-9a-f]+)\}?/;
is_deeply(ranges($hidden, qr/$one(?:-$one)?/), $ranges, 'characters that are not shown plainly: the same as in the terminal');
my @seen = grep { my $c = $_; chr($c) =~ /[\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{Cc}\p{Zl}\p{Zp}]/ && !grep { my ($first, $last) = map { hex } split /-/; $c >= $first && $c <= $last } @$ranges } 0 .. 0xd7ff, 0xe000 .. 0x10ffff;
none([ map { sprintf 'U+%04X', $_ } @seen ], '... with all that Unicode calls invisible');

# Modules name each other; one that nobody imports isn't loaded.
my %imported = map { $_ => 1 } map { /(?:from |import\()'\.\/([a-z_-]+\.js)'/g } @text{@scripts};
$imported{$_} = 1 for $text{'src/ui/index.html'} =~ m{"_ui/([a-z_-]+\.js)"}g;
is_deeply([ sort keys %imported ], [ sort map { s{.*/}{}r } @scripts ], 'each script is used, and each that is used is there');
for my $file (@scripts) {
    my @unused = grep { my $name = $_; (() = $text{$file} =~ /(?<![\w\$.'])\Q$name\E\b/g) < 2 }
        map { split /\s*,\s*/ } $text{$file} =~ /^import \{([^}]*)\}/mg;
    none(\@unused, "$file uses what it imports");
}
done_testing();
