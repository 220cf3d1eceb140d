#!/usr/bin/perl
# One library, one owner; one file, one prefix; the banned functions are banned everywhere.
use v5.36;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

# Who may include a library's header.
my @owners = (
    [ qr{^db\.h$},                qr{^src/storage/kv/bdb\w*\.[ch]$} ],
    [ qr{^(json-c/)?json\w*\.h$}, qr{^src/util/json\.c$} ],
    [ qr{^openssl/},              qr{^src/util/(digest|certificate)\.c$} ],
    [ qr{^crypt\.h$},             qr{^src/domain/access/htpasswd\.c$} ],
    [ qr{^fcgi\w*\.h$},           qr{^src/process/worker/fcgi\.c$} ],
    [ qr{^archive\w*\.h$},        qr{^src/storage/layers/tar_(scan|unpack)\.c$} ],
    [ qr{^zlib\.h$},              qr{^src/storage/layers/(inflate_gzip|inflate_zlib|sorted_format)\.c$} ],
    [ qr{^zstd\w*\.h$},           qr{^src/storage/layers/(inflate_zstd|sorted_file|sorted_writer)\.c$} ],
    [ qr{^lzma\.h$},              qr{^src/storage/layers/inflate_xz\.c$} ],
    [ qr{^bzlib\.h$},             qr{^src/storage/layers/inflate_bzip2\.c$} ],
    [ qr{^isa-l/},                qr{^src/storage/layers/inflate_isal\.c$} ],
);

# What a header may export although it doesn't begin with the header's name.
my %exceptions = (
    'src/util/pack.h'             => qr/^unpack_/,
    'src/storage/kv/kv.h'         => qr/^txn_run(_anyway)?$/,
    'src/storage/kv/kv_open.h'    => qr/^kv_(recover|close)$/,
    'src/storage/tables/record.h' => qr/^rec_/,
);

my @sources = files(sources());

for my $owner (@owners) {
    my ($header, $file) = @$owner;
    my @bad;
    for my $source (grep { !/$file/ } @sources) {
        push @bad, map { "$source: $_" } grep { /$header/ } slurp($source) =~ /^\s*#\s*include\s*<([^>]*)>/mg;
    }
    none(\@bad, "<$header> is included by $file only");
}

# The compiler refuses a banned function: Makefile.am has it include util/banned.h before each source.
sub compiles ($code) {
    open my $cc, '|-', 'cc -Isrc -include util/banned.h -fsyntax-only -xc - 2>/dev/null' or die "cc: $!";
    print {$cc} "$code\n";
    return close $cc;
}
like(slurp('Makefile.am'), qr{^AM_CPPFLAGS = .*-include util/banned\.h}m, 'each source is compiled with util/banned.h');
ok(compiles('size_t f(char *p) { return strlen(p); }'), '... which allows a function that is not banned');
ok(!compiles('void f(char *p) { strcpy(p, p); }'), '... and no other');
none([ grep { /\.h$/ && slurp($_) !~ /^#pragma once$/m } @sources ], 'each header is included once');

# Names that a header declares outside of braces: functions, and variables with extern.
sub exported ($header) {
    my $text = code($header);
    $text =~ s/^\s*#(?:[^\n]*\\\n)*[^\n]*//mg;
    $text =~ s/__attribute__\s*(\((?:[^()]|(?1))*\))//g;
    $text =~ s/_Static_assert\s*(\((?:[^()]|(?1))*\))\s*;//g;
    $text =~ s/(\{(?:[^{}]|(?1))*\})/;/g;
    my @names;
    for my $declaration (split /;/, $text) {
        next if $declaration =~ /^\s*typedef\b/;
        if ($declaration =~ /^[^=(]*?\b(\w+)\s*\(/s) { push @names, $1 }
        elsif ($declaration =~ /^\s*extern\b[^=]*?\b(\w+)\s*(?:\[[^]]*\]\s*)*$/s) { push @names, $1 }
    }
    return @names;
}

my (@foreign, $count);
for my $header (grep { /\.h$/ } @sources) {
    my $stem = stem($header) =~ s/s$//r;    # pools.h: pools, pool_workers
    for my $name (exported($header)) {
        $count++;
        next if $name =~ /^\Q$stem\Es?(_|$)/ || $exceptions{$header} && $name =~ $exceptions{$header};
        push @foreign, "$header: $name";
    }
}
cmp_ok($count, '>', 50, 'headers export something');
none(\@foreign, "what a header exports begins with the header's name");
done_testing();
