#!/usr/bin/perl
# The manual pages are complete, correct for man and mandoc, and refer to each other; README is short, and its list of
# contents is right.
use v5.36;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

my @pages = files('src/man/*.[1-8]');
cmp_ok(scalar @pages, '>', 9, 'there are manual pages');
my %text = map { $_ => slurp($_) =~ s/^\.\\".*\n//mgr } @pages;

# src/man/docker-registry-server-hooks.5 -> docker-registry-server-hooks(5)
sub title ($page) { return $page =~ s{^.*/(.*)\.(\d)$}{$1($2)}r }
my %titles = map { title($_) => 1 } @pages;

sub plain ($text) { return $text =~ s/\\-/-/gr =~ s/\\f[BIR]//gr }

# ---- what programs say ----

# The second argument is what --version prints; other systems have another man.
sub complaints ($program, $version, $command) {
    SKIP: {
        if ((`$program --version 2>&1` // '') !~ $version) {
            skip "$program is not installed", 1 if ($ENV{CI} // '') ne 'true';
            return fail("$program is installed");
        }
        my @found;
        for my $page (@pages) {
            push @found, split /\n/, `@{[ sprintf $command, $page ]}`;
            push @found, "$page: exit $?" if $? != 0;
        }
        none(\@found, "$program has no complaints");
    }
    return;
}
complaints('mandoc', qr/^usage: mandoc/m, q(mandoc -Tlint -W style '%s' 2>&1));
complaints('man', qr/^man \d/, q(LC_ALL=C.UTF-8 MANROFFSEQ= man --warnings -l '%s' 2>&1 >/dev/null));

# ---- what they have to have ----

none([ grep { $text{$_} !~ /\A\.TH (\S+) (\d) \S+ \S+ "[^"]+"\n/ || plain(lc "$1($2)") ne title($_) } @pages ], 'each page has its title');
none([ grep { $text{$_} !~ /^\.SH NAME\n(\S+) \\- \S.*\n\.SH /m || title($_) !~ /^\Q${\ plain($1) }\E\(/ } @pages ], '... and its name, with a description in one line');

my @dangling;
for my $page (@pages) {
    my $text = plain($text{$page});
    push @dangling, map { "$page: $_" } grep { !$titles{$_} } map { s/ //r } $text =~ /(docker-registry-server(?:-[a-z-]+)? ?\(\d\))/g;
}
none(\@dangling, 'the pages that they refer to are there');

my @commands = ('serve', slurp('src/process/commands/command_table.c') =~ /^ +\{"([a-z-]+)",/mg);
cmp_ok(scalar @commands, '>', 4, 'there are commands');
none([ grep { !$titles{'docker-registry-server' . ($_ eq 'serve' ? '' : "-$_") . '(8)'} } @commands ], 'each command has a page');
my $program = plain($text{'src/man/docker-registry-server.8'});
none([ grep { $program !~ /^\.TP\n\.B \Q$_\E\b/m } @commands ], '... and a paragraph in the page of the program');

my ($errors) = files('src/protocol/http/error_table.c');
my %codes    = map { $_ => 1 } slurp($errors) =~ /"([A-Z]+(?:_[A-Z]+)*)"/g;
cmp_ok(scalar keys %codes, '>', 10, 'there are error codes');
none([ grep { $text{'src/man/docker-registry-server-api.7'} !~ /^\.TP\n\.B \Q$_\E$/m } sort keys %codes ], '... each described');

# What is copied from a page has to be the plain characters of ASCII.
my @typography;
for my $page (@pages) {
    for my $example ($text{$page} =~ /^\.EX\n(.*?)^\.EE$/msg) {
        push @typography, map { "$page: $_" } grep { /(?<!\\)-|['`^~]/ } split /\n/, $example;
    }
}
none(\@typography, 'characters of examples are escaped, so that they can be copied');

# ---- README ----

my $readme = slurp('README');
cmp_ok(scalar(split /\n/, $readme, -1) - 1, '<=', 200, 'README has at most 200 lines');
my ($title, @headings) = $readme =~ /^(\S[^\n]*)\n(?:=|-){3,}$/mg;
is(shift @headings, 'Contents', 'README begins with a list of contents');
my ($contents) = $readme =~ /^Contents\n-+\n(.*?)^\S/ms;
is_deeply([ map { s/ {2,}.*//r } $contents =~ /^    (\S.*)$/mg ], \@headings, '... which has its headings');
none([ grep { !/-help\(8\)$/ && $readme !~ /^    \Q$_\E(?:\s|$)/m } sort keys %titles ], 'README lists the manual pages');
done_testing();
