package Lint;
use v5.36;

# What the lint tests share: finding and reading the sources, C without its comments, and what a source includes and
# declares.

use Exporter 'import';
use File::Find ();
use File::Temp ();
use FindBin;
use Test::More ();

our @EXPORT = qw(none files slurp lines code stem sources includes declarations);

# All paths are relative to the top of the sources.
chdir($ENV{srcdir} // "$FindBin::Bin/../..") or die "no sources: $!";

# A test that a list is empty; tells what is in it.
sub none ($list, $name) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return Test::More::ok(!@$list, $name) || Test::More::diag(map { "    $_\n" } @$list);
}

# Files that match one of the patterns of glob(), sorted.
sub files (@patterns) {
    my @files = sort grep { -f } map { glob } @patterns;
    return @files;
}

# All sources: what contrib/list-sources finds, so that nothing is compiled that isn't checked.
sub sources () {
    my @found;
    File::Find::find({ no_chdir => 1, wanted => sub { push @found, $_ if -f && /\.[ch]$/ && !/_data\.c$/ } }, 'src');
    return sort @found;
}

sub slurp ($path) {
    open my $in, '<:raw', $path or die "cannot read $path: $!";
    local $/;
    return scalar(<$in>) // '';
}

sub lines ($path) { return split /\n/, slurp($path) }

# C text with comments blanked out and strings emptied; lines stay where they are.
sub code ($path) {
    my $text  = slurp($path);
    my $token = qr{ (?<comment> /\*.*?\*/ | //[^\n]* )
                  | " (?: [^"\\\n] | \\. )* "
                  | ' (?: [^'\\\n] | \\. )* ' }xs;
    $text =~ s{$token}{ defined $+{comment} ? $+{comment} =~ s/[^\n]/ /gr : q("") }ge;
    return $text;
}

# What each source includes, as '"domain/core/tag.h"' or '<db.h>': { file => [...] }. The compiler is asked, so that it
# doesn't matter how an include is written; all sources are one unit for it, which is fast. What it leaves out, because
# of a condition, is found by its usual form.
sub includes () {
    my @sources = sources();
    my %found   = map { my $file = $_; $file => { map { $_ => 1 } slurp($file) =~ /^\s*#\s*include\s*("[^"\n]*"|<[^>\n]*>)/mg } } @sources;
    # Empty ones: the real ones have directories of their own, and may be missing.
    my $library = File::Temp->newdir;
    mkdir "$library/curl" or die "$library: $!";
    for my $header ("$library/libpq-fe.h", "$library/curl/curl.h") { open my $file, '>', $header or die "$header: $!" }
    my @command = (qw(cc -E -dI -w -std=c11 -D_GNU_SOURCE -Isrc), '-idirafter', "$library", '-xc', map({ ('-include', $_) } sort { ($a =~ /banned/) <=> ($b =~ /banned/) } @sources), '/dev/null');
    open my $cc, '-|', @command or die "cc: $!";
    my ($file, %read) = ('');
    while (my $line = <$cc>) {
        if    ($line =~ /^# \d+ "(?:\.\/)?([^"]*)"/) { $read{ $file = $1 =~ s{[^/]+/\.\./}{}gr } = 1 }
        elsif ($line =~ /^#(?:include|include_next|import) (\S+)/ && $found{$file}) { $found{$file}{$1} = 1 }
    }
    close $cc or die "cc cannot read the sources\n";
    die "cc did not read $_\n" for grep { !$read{$_} } @sources;
    return { map { $_ => [ sort keys %{ $found{$_} } ] } @sources };
}

# What stands outside of functions in a C text: a list of { kind, name, static, text, words }. The kind is function,
# prototype (also of variables: with extern, or "call_handler v2_base;" in a header), variable, macro or type.
sub declarations ($path) {
    my $text  = code($path) =~ s/\\\n/ /gr;
    my @found = map { { kind => 'macro', name => s/\W.*//sr, text => $_ } } $text =~ /^[ \t]*#[ \t]*define[ \t]+(\w[^\n]*)/mg;
    $text =~ s/^[ \t]*#[^\n]*//mg;
    my ($head, $all) = ('', '');
    while ($text =~ /\G([^;{}]*)(?:;|(\{(?:[^{}]++|(?2))*\}))/g) {
        my $block = $2 // '';
        $head .= $1;
        $all  .= $1 . $block;
        my $function = $block && $head =~ /\)\s*$/ && $head !~ /=/;
        if ($block && !$function) { $head .= '{}'; next }
        push @found, declaration($head, $all, $function, scalar($path =~ /\.h$/));
        ($head, $all) = ('', '');
    }
    $_->{words} = { map { $_ => 1 } $_->{text} =~ /\b[A-Za-z_]\w*\b/g } for @found;
    return @found;
}

# head: without what is in braces.
sub declaration ($head, $text, $function, $header) {
    $head =~ s/__attribute__\s*(\((?:[^()]|(?1))*\))//g;
    my $static = $head =~ /^\s*(?:\w+\s+)*?static\b/;
    if ($head =~ /^\s*(?:typedef|_Static_assert)\b|^\s*(?:struct|union|enum)\s*\w*\s*(?:\{\})?\s*$/) {
        return { kind => 'type', name => '', text => $text };
    }
    if ($head =~ /^[^=(]*?\b(\w+)\s*\((?!\s*\*)/) {
        return { kind => $function ? 'function' : 'prototype', name => $1, static => $static, text => $text };
    }
    # int (*f)(void) -> int f; then without brackets and initialisers, so that commas are between names
    $head =~ s/\(\s*\*(?:\s*const)?\s*(\w+)[^()]*\)/$1/g;
    $head =~ s/(\((?:[^()]|(?1))*\))|\[[^]]*\]|=[^,]*//g;
    my $kind = $head =~ /\bextern\b/ || $header && !$static ? 'prototype' : 'variable';
    return map { { kind => $kind, name => $_, static => $static, text => $text } } map { /(\w+)\s*$/ } split /,/, $head;
}

# src/util/buf.c -> buf
sub stem ($path) { return $path =~ s{^.*/|\.[ch]$}{}gr }

1;
